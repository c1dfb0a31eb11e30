-- Adds a digest to an owner's index, KEYS[1], in a cluster. ARGV: now; the digest; until when it stays there.
index(entry, ARGV[2], tonumber(ARGV[3]))
return {'indexed'}
