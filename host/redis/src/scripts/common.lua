-- The beginning of every script.
--
-- KEYS[1] is the entry of a digest, or an owner's index. KEYS[2] is the version of the layout, but only on a single
-- server: a cluster has that key in another slot. ARGV[1] is the caller's time; the server's replaces it where that is
-- earlier, so that what is live by the server's clock is live for every caller.
local call = redis.call
local entry, layout = KEYS[1], KEYS[2]
local now = math.min(tonumber(ARGV[1]), tonumber(call('TIME')[1]))

if layout then
  local version = call('GET', layout)
  if version ~= '1' then return {'layout', version} end
end

-- For how many seconds a key is kept longer than its content is needed: a host whose clock is behind may still ask for
-- it.
local SLACK = 300
-- For how many seconds an owner's index holds a digest after its session has expired: for a host whose clock is behind,
-- the session is live, and `destroy_owned` must find it.
local INDEX_SLACK = 86400
-- The most values that are passed to one command.
local CHUNK = 1000

local function text(number)
  return string.format('%.0f', number)
end

-- The time to live, in milliseconds, of a key that is not needed from the time `at` on. Scripts decide what has expired.
-- That Redis removes the key later only saves memory.
local function left(at)
  return math.min(math.max(at - now, 0) + SLACK, 1e11) * 1000
end

local function keep(key, at)
  call('PEXPIRE', key, text(left(at)))
end

-- Some fields of a hash, by name; false for a field that does not exist.
local function read(key, names)
  local found = {}
  for i, value in ipairs(call('HMGET', key, unpack(names))) do found[names[i]] = value end
  return found
end

-- The fields of an entry, without those of variables.
--
-- Of a session: its record; `identity`, which it keeps when its id is rotated; `reach`, the latest end of a grace among
-- the tombstones that lead to it; and in a cluster `indexed`, until when its owner's index holds the digest, and
-- `pending`, the old digest and the token of a rotation that has not been finished.
--
-- Of a tombstone: `remembered`, when it is forgotten; the `identity` of its session; `to`, the digest that it leads to
-- until the time `grace`; and `nonce`. Not read here: `reused`, how often it was used; and in a cluster `token`, that
-- of the rotation.
local ENTRY = {
  'created', 'accessed', 'expires', 'ends', 'renewed', 'owner', 'version', 'size', 'identity', 'reach', 'indexed', 'pending',
  'remembered', 'grace', 'nonce', 'to',
}

local function record(s)
  return s.created, s.accessed, s.expires, s.ends, s.renewed, s.owner, s.version, s.size
end

local function is_live(s)
  return s.expires and now < tonumber(s.expires)
end

-- Whether a session may get this entry: it does not exist, or it is a tombstone that has expired.
local function is_free(key)
  local s = read(key, {'remembered', 'pending'})
  if s.remembered then return not s.pending and tonumber(s.remembered) <= now end
  return call('EXISTS', key) == 0
end

-- Removes what the entry holds. Runs DEL only if it exists: a server that is out of memory refuses a script only if its
-- first write needs memory, and a removal needs none.
local function clear(key)
  if call('EXISTS', key) == 1 then call('DEL', key) end
end

-- The entry, if it is a live session; otherwise nil and the answer of the script. A tombstone within its grace answers
-- the digest to follow. The next call passes `identity`, so that it finds this session only, and follows tombstones
-- whose own grace is over.
local function find(identity)
  local s = read(entry, ENTRY)
  if s.pending then return nil, {'pending', s.pending} end
  if s.expires then
    if identity ~= '' and identity ~= s.identity then return nil, {'absent'} end
    if not is_live(s) then return nil, {'expired'} end
    return s
  end
  if s.remembered then
    local leads = false
    if identity == '' then
      leads = s.grace and now < tonumber(s.grace)
    else
      leads = s.grace and identity == s.identity
    end
    if leads then return nil, {'follow', s.to, s.identity, s.nonce} end
    if identity == '' and now < tonumber(s.remembered) then return nil, {'ended'} end
  end
  return nil, {'absent'}
end

-- The names of the other keys have the prefix of this one: `Session:s:DIGEST`, `Session:o:OWNER`.
local prefix, key = string.match(entry, '^([^:]*:).:(.*)$')

-- Adds a digest to an owner's index, and removes some whose sessions expired long ago.
local function index(name, member, expires)
  local expired = call('ZRANGEBYSCORE', name, '-inf', text(now - INDEX_SLACK), 'LIMIT', 0, CHUNK)
  if #expired > 0 then call('ZREM', name, unpack(expired)) end
  local before = call('ZSCORE', name, member)
  if not before or tonumber(before) < expires then call('ZADD', name, text(expires), member) end
  if call('PTTL', name) < left(expires) then keep(name, expires) end
end

-- How many live sessions an owner has. The index may hold others: expired ones, and those of keys that Redis has evicted.
local function count_owned(name, owner)
  local live = 0
  for _, member in ipairs(call('ZRANGEBYSCORE', name, '(' .. text(now), '+inf')) do
    local s = read(prefix .. 's:' .. member, {'owner', 'expires'})
    if s.owner == owner and is_live(s) then live = live + 1 end
  end
  return live
end
