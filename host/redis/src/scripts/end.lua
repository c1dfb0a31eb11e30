-- The end of a session. Used by the scripts that end sessions.

-- Ends a session. Returns whether it was live.
local function finish(at, name, s, remember)
  call('UNLINK', at)
  if layout and s.owner then call('ZREM', prefix .. 'o:' .. s.owner, name) end
  if not is_live(s) then return false end
  if remember > 0 then
    call('HSET', at, 'remembered', text(now + remember))
    keep(at, now + remember)
  end
  return true
end
