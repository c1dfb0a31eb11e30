-- What every script begins with.
--
-- KEYS[1] is the entry of a session's key. KEYS[2] is given on a single server alone: the key that holds the version of the
-- layout. A cluster keeps that one elsewhere. ARGV[1] is the caller's time.
local call = redis.call
local entry, layout, now = KEYS[1], KEYS[2], tonumber(ARGV[1])

if layout then
  local version = call('GET', layout)
  if version ~= '1' then return {'layout', version} end
end

-- By how much the clocks of two hosts may differ, in seconds.
local SLACK = 300
-- How many values are given to one command.
local CHUNK = 1000

local function text(number)
  return string.format('%.0f', number)
end

-- For how long, in milliseconds, something is kept that means nothing any more from the time `at` on. Times are compared
-- with the caller's clock, and what has expired reads so: that Redis removes it in the end only saves memory.
local function left(at)
  return math.min(math.max(at - now, 0) + SLACK, 1e11) * 1000
end

local function keep(key, at)
  call('PEXPIRE', key, text(left(at)))
end

-- Some fields of a hash, by name; false for those that are not there.
local function read(key, names)
  local found = {}
  for i, value in ipairs(call('HMGET', key, unpack(names))) do found[names[i]] = value end
  return found
end

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

-- Whether a key means nothing to anybody, so that a session may have it.
local function is_free(key)
  local s = read(key, {'remembered', 'pending'})
  if s.remembered then return not s.pending and tonumber(s.remembered) <= now end
  return call('EXISTS', key) == 0
end

-- Makes room for a session where `is_free`. A script that begins with a removal is let through where memory is short.
local function clear(key)
  if call('EXISTS', key) == 1 then call('DEL', key) end
end

-- The entry of a session that can be read, or nil and what to answer instead. A former key within its grace answers where to
-- go on; what goes on there says by `identity` which session it is after, and may pass through any key with a grace.
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

-- The entry `Session:s:KEY` is beside the owner's index `Session:o:OWNER`.
local prefix, key = string.match(entry, '^([^:]*:).:(.*)$')

-- Adds a key to an owner's index, and removes some of what has expired there.
local function index(name, member, expires)
  local expired = call('ZRANGEBYSCORE', name, '-inf', text(now - SLACK), 'LIMIT', 0, CHUNK)
  if #expired > 0 then call('ZREM', name, unpack(expired)) end
  local before = call('ZSCORE', name, member)
  if not before or tonumber(before) < expires then call('ZADD', name, text(expires), member) end
  if call('PTTL', name) < left(expires) then keep(name, expires) end
end
