-- Step 2 of an id rotation in a cluster, which decides: replaces the session by a tombstone if it is still the one that
-- was copied.
--
-- ARGV: now; the new digest; the end of the grace; its nonce; for how many seconds the tombstone is kept; the token;
-- the expiry of the session; then identity, version, accessed and expires of the session that was copied.
local s = read(entry, ENTRY)
if s.pending then return {'pending', s.pending} end
if not is_live(s) then return {'gone'} end
if s.identity ~= ARGV[8] or s.version ~= ARGV[9] or s.accessed ~= ARGV[10] or s.expires ~= ARGV[11] then
  return {'changed'}
end
leave(s, ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]))
return {'left'}
