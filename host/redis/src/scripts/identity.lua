-- The identity of the session that a digest leads to. ARGV: now; the identity, once a tombstone was followed.
local s, answer = find(ARGV[2])
if not s then return answer end
return {'found', s.identity}
