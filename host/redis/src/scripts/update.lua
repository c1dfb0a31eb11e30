-- Changes a session. KEYS[3], for an id rotation on a single server: the entry of the new digest. In a cluster, an id
-- rotation answers the session's fields for the script `place.lua`.
local s = read(entry, ENTRY)
if s.pending then return {'pending', s.pending} end
if not is_live(s) then return {'gone'} end
local p, refusal = plan(s)
if not p then return refusal end

if change.max_owned and p.owner and p.owner ~= s.owner then
  -- The index of a cluster is in another slot: the driver counts, and calls again without a limit.
  if not layout then return {'count', p.owner} end
  local others = count_owned(prefix .. 'o:' .. p.owner, p.owner)
  if others >= change.max_owned then return {'owned', text(others)} end
end

local renames = change.to ~= ''
if layout then
  if renames and not is_free(KEYS[3]) then return {'taken'} end
else
  -- The new digest is in another slot: the rotation takes more steps.
  if renames then
    return {'move', text(p.expires), p.owner, s.identity, s.version, s.accessed, s.expires, call('HGETALL', entry)}
  end
  if p.owner and covered(s, p, false) < p.expires then return {'index', p.owner, text(p.expires)} end
end

commit(s, p)
if layout then
  if s.owner and (s.owner ~= p.owner or renames) then call('ZREM', prefix .. 'o:' .. s.owner, key) end
  if p.owner and (s.owner ~= p.owner or renames or p.expires ~= tonumber(s.expires)) then
    index(prefix .. 'o:' .. p.owner, renames and change.to or key, p.expires)
  end
  if renames then
    call('RENAME', entry, KEYS[3])
    leave(s, change.to, change.grace, change.nonce, change.remember, nil, 0)
  end
end
return {'committed', text(p.version)}
