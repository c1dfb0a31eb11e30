-- ARGV: now, for how long the key is remembered, and after a + the owner the session has to have.
-- A key that was given up answers to which other one.
local s = read(entry, ENTRY)
if s.pending then return {'pending', s.pending} end
if not s.expires then return {'none', s.to} end
if ARGV[3] ~= '' and (not s.owner or ARGV[3] ~= '+' .. s.owner or not is_live(s)) then return {'none', false} end
if finish(entry, key, s, tonumber(ARGV[2])) then return {'ended'} end
return {'none', false}
