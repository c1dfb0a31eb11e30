-- Stores a session at a free digest, or instead of a live session of a given version.
--
-- ARGV: now; the identity; until when the owner's index holds the digest; the version of the session to replace, or
-- empty; created, accessed, expires, ends, renewed, + and the owner, version, size; then the fields of the variables
-- and their values.
local identity, indexed, ends, owner = ARGV[2], ARGV[3], ARGV[8], ARGV[10]
local accessed, expires, reach = tonumber(ARGV[6]), tonumber(ARGV[7]), false
if ARGV[4] == '' then
  if not is_free(entry) then return {'exists'} end
else
  local s = read(entry, ENTRY)
  if s.pending then return {'pending', s.pending} end
  if not is_live(s) or s.version ~= ARGV[4] then return {'exists'} end
  accessed, expires = math.max(accessed, tonumber(s.accessed)), math.max(expires, tonumber(s.expires))
  if ends ~= '' then expires = math.min(expires, tonumber(ends)) end
  identity, reach = s.identity, s.reach
  if indexed ~= '' and tonumber(indexed) < expires then return {'index', text(expires)} end
  if layout and s.owner then call('ZREM', prefix .. 'o:' .. s.owner, key) end
end
clear(entry)

local set = {
  'created', ARGV[5], 'accessed', text(accessed), 'expires', text(expires), 'renewed', ARGV[9], 'version', ARGV[11],
  'size', ARGV[12], 'identity', identity,
}
local function add(field, value)
  set[#set + 1] = field
  set[#set + 1] = value
end
if ends ~= '' then add('ends', ends) end
if owner ~= '' then add('owner', string.sub(owner, 2)) end
if indexed ~= '' then add('indexed', indexed) end
if reach then add('reach', reach) end
for i = 13, #ARGV do set[#set + 1] = ARGV[i] end
for first = 1, #set, CHUNK do
  call('HSET', entry, unpack(set, first, math.min(first + CHUNK - 1, #set)))
end

keep(entry, expires)
if layout and owner ~= '' then index(prefix .. 'o:' .. string.sub(owner, 2), key, expires) end
return {'created'}
