-- Ends a session that meets a condition. A tombstone answers the digest it leads to.
--
-- ARGV: now; for how many seconds the tombstone is kept; the condition: empty for any session, - for an expired one, +
-- and the owner for a live one of this owner, = and the owner for any of this owner; the identity of a session that is
-- spared.
local s = read(entry, ENTRY)
if s.pending then return {'pending', s.pending} end
if not s.expires then return {'none', s.to} end
local is_meant = ARGV[3] == '' or ARGV[3] == '-' and not is_live(s)
  or s.owner and (ARGV[3] == '=' .. s.owner or ARGV[3] == '+' .. s.owner and is_live(s))
if not is_meant or s.identity == ARGV[4] then return {'none', false} end
if finish(entry, key, s, tonumber(ARGV[2])) then return {'ended'} end
return {'none', false}
