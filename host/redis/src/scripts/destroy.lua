-- ARGV: now, for how long the key is remembered, which session is meant (any: nothing; one that has expired: -; a live one of
-- an owner: this one after a +), and the identity of the session that is spared.
-- A key that was given up answers to which other one.
local s = read(entry, ENTRY)
if s.pending then return {'pending', s.pending} end
if not s.expires then return {'none', s.to} end
local is_meant = ARGV[3] == '' or ARGV[3] == '-' and not is_live(s)
  or s.owner and ARGV[3] == '+' .. s.owner and is_live(s)
if not is_meant or s.identity == ARGV[4] then return {'none', false} end
if finish(entry, key, s, tonumber(ARGV[2])) then return {'ended'} end
return {'none', false}
