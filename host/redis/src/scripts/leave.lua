-- The old digest after an id rotation. Used by the scripts that rotate ids.

-- Replaces the entry by a tombstone, which leads to the new digest during its grace. It is kept at least until `lasts`.
local function leave(s, to, grace, nonce, remember, token, lasts)
  local remembered = (grace or now) + remember
  call('DEL', entry)
  if not token and not grace and remember == 0 then return end
  call('HSET', entry, 'remembered', text(remembered), 'identity', s.identity, 'to', to)
  if grace then call('HSET', entry, 'grace', text(grace), 'nonce', nonce) end
  if token then call('HSET', entry, 'token', token) end
  -- An older tombstone leads on through this one until the end of its own grace (`reach`).
  keep(entry, math.max(remembered, lasts, tonumber(s.reach or 0)))
end
