-- Ends one batch of an owner's sessions, on a single server, also of those that have expired: they are live for a host
-- whose clock is behind. KEYS[1] is the owner's index.
--
-- ARGV: now; for how many seconds tombstones are kept; the identity of the session that is spared; the size of the
-- batch. Answers how many live sessions were ended and how many were in the batch. Only the one that is spared stays in
-- the index.
local remember, ended = tonumber(ARGV[2]), 0
local members = call('ZRANGEBYSCORE', entry, '-inf', '+inf', 'LIMIT', 0, ARGV[4])
for _, member in ipairs(members) do
  local at = prefix .. 's:' .. member
  local s = read(at, ENTRY)
  if s.owner ~= key then
    -- For example, Redis has evicted it.
    call('ZREM', entry, member)
  elseif s.identity ~= ARGV[3] and finish(at, member, s, remember) then
    ended = ended + 1
  end
end
return {'ended', text(ended), text(#members)}
