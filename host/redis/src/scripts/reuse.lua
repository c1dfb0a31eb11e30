-- Answers that a former key leads nowhere, and counts it. ARGV: now.
local s = read(entry, {'remembered', 'pending'})
if s.remembered and not s.pending and now < tonumber(s.remembered) then
  call('HINCRBY', entry, 'reused', 1)
  return {'ended'}
end
return {'absent'}
