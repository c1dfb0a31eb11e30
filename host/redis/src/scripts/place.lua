-- Step 1 of an id rotation in a cluster: stores a copy of the session, changed, at its new digest, KEYS[1]. It is
-- pending until step 2 has been taken at the old digest.
--
-- ARGV: the change; the old digest; the session's fields and their values.
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
