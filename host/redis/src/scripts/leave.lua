-- What the scripts share that end a key by giving its session another one.

-- Makes the entry of a session's old key one that leads to the new key, or that has ended. `lasts` is until when it is kept
-- at least.
local function leave(s, to, grace, nonce, remember, token, lasts)
  local remembered = (grace or now) + remember
  call('DEL', entry)
  if not token and not grace and remember == 0 then return end
  call('HSET', entry, 'remembered', text(remembered), 'identity', s.identity, 'to', to)
  if grace then call('HSET', entry, 'grace', text(grace), 'nonce', nonce) end
  if token then call('HSET', entry, 'token', token) end
  -- A key that led to this one leads on through it, for as long as its own grace.
  keep(entry, math.max(remembered, lasts, tonumber(s.reach or 0)))
end
