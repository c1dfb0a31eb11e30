-- The last step of a rename between two slots. ARGV: now, what is pending, whether it becomes the session or is removed.
if call('HGET', entry, 'pending') ~= ARGV[2] then return {'settled'} end
if ARGV[3] == 'keep' then
  call('HDEL', entry, 'pending')
else
  call('DEL', entry)
end
return {'settled'}
