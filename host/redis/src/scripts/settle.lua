-- Step 3 of an id rotation in a cluster: makes a pending copy the session, or removes it.
--
-- ARGV: now; the value of the field `pending`, if it is still this one; keep or drop.
if call('HGET', entry, 'pending') ~= ARGV[2] then return {'settled'} end
if ARGV[3] == 'keep' then
  call('HDEL', entry, 'pending')
else
  call('DEL', entry)
end
return {'settled'}
