-- The second step of a rename between two slots, and the one that decides: the old key is left if its session is still what
-- was copied. ARGV: now, the new key, until when the old one leads to it, the nonce, for how long it is remembered, the
-- token, until when the session lasts; then identity, version, accessed and expires of what was copied.
local s = read(entry, ENTRY)
if s.pending then return {'pending', s.pending} end
if not is_live(s) then return {'gone'} end
if s.identity ~= ARGV[8] or s.version ~= ARGV[9] or s.accessed ~= ARGV[10] or s.expires ~= ARGV[11] then
  return {'changed'}
end
leave(s, ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7]))
return {'left'}
