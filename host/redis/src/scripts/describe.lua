-- The record, and the sizes of all variables. ARGV: now.
local s = read(entry, ENTRY)
if s.pending then return {'pending', s.pending} end
if not is_live(s) then return {'absent'} end
local found = {'found', record(s)}
for _, field in ipairs(call('HKEYS', entry)) do
  if string.find(field, '^%d') then
    found[#found + 1] = field
    found[#found + 1] = call('HSTRLEN', entry, field)
  end
end
return found
