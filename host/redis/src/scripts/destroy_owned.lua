-- One batch, on a single server. KEYS[1] is the owner's index. ARGV: now, for how long the keys are remembered, the identity of
-- the session that is spared, and how many sessions are looked at. Answers how many were ended and how many were looked at:
-- none of them stays in the index, but the one that is spared.
local remember, ended = tonumber(ARGV[2]), 0
local members = call('ZRANGEBYSCORE', entry, '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[4])
for _, member in ipairs(members) do
  local at = prefix .. 's:' .. member
  local s = read(at, ENTRY)
  if s.owner ~= key or not is_live(s) then
    -- Evicted, for example.
    call('ZREM', entry, member)
  elseif s.identity ~= ARGV[3] and finish(at, member, s, remember) then
    ended = ended + 1
  end
end
return {'ended', text(ended), text(#members)}
