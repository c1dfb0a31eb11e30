-- The record, the details, and the variables of one application. A value of the latter that is too long is answered as its
-- size, a number. Counts the use of an ended digest.
--
-- ARGV: now; the identity; the prefix of the application's fields; the size of the longest value to return.
local s, answer = find(ARGV[2])
if not s then
  if answer[1] == 'ended' then call('HINCRBY', entry, 'reused', 1) end
  return answer
end

-- The details are the variables of the application with the empty name.
local details = '0:'
local app, inline = ARGV[3], tonumber(ARGV[4])
local found = {'found', record(s)}
local fields = {}
for _, field in ipairs(call('HKEYS', entry)) do
  if string.sub(field, 1, #app) == app or string.sub(field, 1, 2) == details then fields[#fields + 1] = field end
end

-- In a small session no value is too long.
if tonumber(s.size) <= inline then
  for first = 1, #fields, CHUNK do
    local last = math.min(first + CHUNK - 1, #fields)
    for i, value in ipairs(call('HMGET', entry, unpack(fields, first, last))) do
      found[#found + 1] = fields[first + i - 1]
      found[#found + 1] = value
    end
  end
else
  for _, field in ipairs(fields) do
    local size = call('HSTRLEN', entry, field)
    local is_inline = size <= inline or string.sub(field, 1, 2) == details
    found[#found + 1] = field
    found[#found + 1] = is_inline and call('HGET', entry, field) or size
  end
end
return found
