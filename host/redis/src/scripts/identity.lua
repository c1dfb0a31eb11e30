-- Which session a key leads to. ARGV: now, identity.
local s, answer = find(ARGV[2])
if not s then return answer end
return {'found', s.identity}
