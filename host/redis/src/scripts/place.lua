-- The first step of a rename between two slots: puts a copy of the session, changed, where its new key is. It is pending until
-- the old key was left. After the change come the old key and the fields of the session.
if not is_free(entry) then return {'taken'} end
clear(entry)
for first = after_change + 1, #ARGV, CHUNK do
  call('HSET', entry, unpack(ARGV, first, math.min(first + CHUNK - 1, #ARGV)))
end

local s = read(entry, ENTRY)
local p, refusal = plan(s)
if p and p.owner and covered(s, p, true) < p.expires then
  p, refusal = nil, {'index', p.owner, text(p.expires)}
end
if not p then
  call('DEL', entry)
  return refusal
end
call('HSET', entry, 'pending', ARGV[after_change] .. change.token)
commit(s, p)
return {'committed', text(p.version)}
