-- ARGV: now, identity, until when the owner's index has the key, created, expires, ends, renewed, the owner after a +, size;
-- then variables and their values.
if not is_free(entry) then return {'exists'} end
clear(entry)

local expires, ends, owner, indexed = ARGV[5], ARGV[6], ARGV[8], ARGV[3]
local set = {
  'created', ARGV[4], 'accessed', ARGV[1], 'expires', expires, 'renewed', ARGV[7], 'version', '1', 'size', ARGV[9],
  'identity', ARGV[2],
}
local function add(field, value)
  set[#set + 1] = field
  set[#set + 1] = value
end
if ends ~= '' then add('ends', ends) end
if owner ~= '' then add('owner', string.sub(owner, 2)) end
if indexed ~= '' then add('indexed', indexed) end
for i = 10, #ARGV do set[#set + 1] = ARGV[i] end
for first = 1, #set, CHUNK do
  call('HSET', entry, unpack(set, first, math.min(first + CHUNK - 1, #set)))
end

keep(entry, tonumber(expires))
if layout and owner ~= '' then index(prefix .. 'o:' .. string.sub(owner, 2), key, tonumber(expires)) end
return {'created'}
