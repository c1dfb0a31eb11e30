-- In a cluster. KEYS[1] is an owner's index. ARGV: now, the key, until when it is kept.
index(entry, ARGV[2], tonumber(ARGV[3]))
return {'indexed'}
