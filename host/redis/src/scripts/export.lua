-- The record, and all variables. ARGV: now.
local s = read(entry, ENTRY)
if s.pending then return {'pending', s.pending} end
if not is_live(s) then return {'absent'} end
local found = {'found', record(s)}
local fields = call('HGETALL', entry)
for i = 1, #fields, 2 do
  if string.find(fields[i], '^%d') then
    found[#found + 1] = fields[i]
    found[#found + 1] = fields[i + 1]
  end
end
return found
