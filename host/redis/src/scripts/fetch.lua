-- ARGV: now, identity, the variable.
local s, answer = find(ARGV[2])
if not s then return answer end
return {'found', call('HGET', entry, ARGV[3])}
