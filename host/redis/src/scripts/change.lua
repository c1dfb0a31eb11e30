-- A change of a session: its arguments, its plan and its commit. Used by the scripts that change sessions.
--
-- ARGV: now; the expected version; the owner: empty to keep it, - for none, or + and the new one; the expiry; the
-- largest size; for how many seconds a tombstone is kept; the new digest; the end of the grace; its nonce; UNTIL:OWNER,
-- until when the owner's index is known to hold the digest; the token of an id rotation in a cluster; empty, or with a
-- lifetime the end, - for none: the expiry is then set, and otherwise only moved to a later time; empty, or the most live
-- sessions that a new owner may have; the numbers of clears, puts and removals; and then these: for a clear, the prefix of
-- the application's fields; for a put, the field, the length of the variable's name and the value; for a removal, the
-- field and the length of the name.
local change = {
  expected = ARGV[2], owner = ARGV[3], expires = ARGV[4], max_size = tonumber(ARGV[5]), remember = tonumber(ARGV[6]),
  to = ARGV[7], grace = tonumber(ARGV[8]), nonce = ARGV[9], token = ARGV[11], ends = ARGV[12],
  max_owned = tonumber(ARGV[13]),
}
local indexed, indexed_owner = string.match(ARGV[10], '^(%d+):(.*)$')
local first_clear = 17
local first_write = first_clear + tonumber(ARGV[14])
local first_removal = first_write + 3 * tonumber(ARGV[15])
local after_change = first_removal + 2 * tonumber(ARGV[16])

-- The session after the change, or nil and the answer that refuses it. Writes nothing.
local function plan(s)
  if change.expected ~= '' and change.expected ~= s.version then return nil, {'conflict', s.version} end

  local size, removed, set = tonumber(s.size), {}, {}
  if first_write > first_clear then
    for _, field in ipairs(call('HKEYS', entry)) do
      for i = first_clear, first_write - 1 do
        local app = ARGV[i]
        if string.sub(field, 1, #app) == app and not removed[field] then
          removed[field] = true
          size = size - (#field - #app) - call('HSTRLEN', entry, field)
        end
      end
    end
  end
  local function held(field, name)
    if removed[field] then return 0 end
    local value = call('HSTRLEN', entry, field)
    if value == 0 and call('HEXISTS', entry, field) == 0 then return 0 end
    return name + value
  end
  for i = first_write, first_removal - 1, 3 do
    local field, name, value = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
    size = size - held(field, name) + name + #value
    set[#set + 1] = field
    set[#set + 1] = value
  end
  for i = first_removal, after_change - 1, 2 do
    local field, name = ARGV[i], tonumber(ARGV[i + 1])
    size = size - held(field, name)
    removed[field] = true
  end
  if size > tonumber(s.size) and size > change.max_size then return nil, {'large', text(size)} end

  local version, owner, expires, ends = tonumber(s.version), s.owner, tonumber(s.expires), s.ends
  if after_change > first_clear or change.owner ~= '' or change.ends ~= '' then version = version + 1 end
  if change.owner ~= '' then owner = change.owner ~= '-' and string.sub(change.owner, 2) end
  if change.ends ~= '' then
    expires, ends = tonumber(change.expires), change.ends ~= '-' and change.ends
  elseif change.expires ~= '' then
    expires = math.max(expires, math.min(tonumber(change.expires), s.ends and tonumber(s.ends) or math.huge))
  end
  return {size = size, version = version, owner = owner, expires = expires, ends = ends, removed = removed, set = set}
end

-- In a cluster: until when the owner's index is known to hold the session's digest.
local function covered(s, p, moves)
  if p.owner == indexed_owner then return tonumber(indexed) end
  if p.owner == s.owner and not moves then return tonumber(s.indexed or 0) end
  return 0
end

local function commit(s, p)
  local gone = {}
  for field in pairs(p.removed) do gone[#gone + 1] = field end
  for first = 1, #gone, CHUNK do
    call('HDEL', entry, unpack(gone, first, math.min(first + CHUNK - 1, #gone)))
  end

  local set = p.set
  local function add(field, value)
    set[#set + 1] = field
    set[#set + 1] = value
  end
  if now > tonumber(s.accessed) then add('accessed', text(now)) end
  add('version', text(p.version))
  add('size', text(p.size))
  if p.expires ~= tonumber(s.expires) then add('expires', text(p.expires)) end
  if p.ends and p.ends ~= s.ends then add('ends', p.ends) end
  if s.ends and not p.ends then call('HDEL', entry, 'ends') end
  if p.owner and p.owner ~= s.owner then add('owner', p.owner) end
  if s.owner and not p.owner then call('HDEL', entry, 'owner') end
  if p.owner and p.owner == indexed_owner then add('indexed', indexed) end
  if change.to ~= '' then
    add('renewed', text(now))
    if change.grace and change.grace > tonumber(s.reach or 0) then add('reach', text(change.grace)) end
  end
  for first = 1, #set, CHUNK do
    call('HSET', entry, unpack(set, first, math.min(first + CHUNK - 1, #set)))
  end
  keep(entry, p.expires)
end
