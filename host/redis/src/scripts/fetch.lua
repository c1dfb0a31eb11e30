-- The value of a variable. ARGV: now; the identity; the variable's field.
local s, answer = find(ARGV[2])
if not s then return answer end
return {'found', call('HGET', entry, ARGV[3])}
