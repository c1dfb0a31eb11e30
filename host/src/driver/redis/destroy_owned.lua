-- On a single server. KEYS[1] is the owner's index. ARGV: now, for how long the keys are remembered, the identity of
-- the session that is spared.
local remember, ended = tonumber(ARGV[2]), 0
for _, member in ipairs(call('ZRANGE', entry, 0, -1)) do
  local at = prefix .. 's:' .. member
  local s = read(at, ENTRY)
  if s.owner == key and s.identity ~= ARGV[3] and is_live(s) and finish(at, member, s, remember) then
    ended = ended + 1
  end
end
return {'ended', text(ended)}
