-- Counts the use of a tombstone that is within its grace but leads to no session. ARGV: now.
local s = read(entry, {'remembered', 'pending'})
if s.remembered and not s.pending and now < tonumber(s.remembered) then
  call('HINCRBY', entry, 'reused', 1)
  return {'ended'}
end
return {'absent'}
