/**
 * What a claim looks like in the store.
 *
 * - Its ticket: 16 digits, with leading zeros. Lua's `tostring` and cjson keep 14, and would make
 *   tickets collide.
 * - `info`, as the client sent it: `<ttl ms> <weight> <capacity> <inbox> <value>`. Once a value was
 *   proposed or the claim was evicted, a state follows the capacity without a space: `/`, the
 *   value's sequence, and `!` if evicted. So a claim that has neither is no larger for them, and a
 *   new claim, which overwrites `info`, has nothing to clear.
 * - Uncontended, in the hash: `solo` = ticket, expiry in ms (13 digits) and owner, without anything
 *   between; and `info`. So an acquire and a release touch one key, a renewal rewrites one field,
 *   and the hash stays in Redis's compact encoding (whose values end at 64 bytes).
 * - In a line, in the hash: `:<owner>` = ticket, a space, and info.
 *
 * Functions:
 *
 * - `text(n)`: a number as digits.
 * - `whole(s, key)`: digits as a number. These scripts wrote nothing else, so at anything else the
 *   script stops. It reads all it needs before its first write, so it stops having changed nothing.
 * - `untilEnd(ttl)`: when a claim refreshed now dies. `now` is rounded down. One more millisecond
 *   makes sure that a claim lives its whole ttl, whatever part of the millisecond had passed.
 * - `keep(key, ms)`: the key lives `ms` more at least. Never shortens: the claim that needs it
 *   longest decides. Never leaves a key without an end: `GT` takes "no end" for infinity, hence
 *   `NX` after it.
 * - `withTtl(info, ttl)`: info with another ttl. `infoOf(claim)`: info as the claim's parts now
 *   say.
 * - `rewrite(key, field, info)`: replaces an info. It begins with a write that a server out of
 *   memory does not refuse: a leader must be able to speak then, and an operator to evict.
 * - `soloClaim(key, solo, info)`: the uncontended claim, or nil if there is none that lives. An
 *   expiry further off than the claim's own ttl means that the server's clock was set back. It is
 *   cut to a ttl from now (`clamped`).
 * - `keepClamped(key, claim)`: writes a cut expiry. A step that does not refresh the claim must do
 *   this, or the cut would begin anew with each step, and the claim would outlive its ttl.
 * - `announce(channel)`: tells observers that the resource changed, if its changes are announced.
 *   An access list may refuse it. That must not fail the step: `pcall`.
 */
export const claim = /* lua */ `
local function text(n) return string.format('%.0f', n) end

local function malformed(key) error({err = 'MALFORMED ' .. key}) end

local function whole(s, key)
  if not s or #s > 16 or not string.find(s, '^%d+$') then malformed(key) end
  return tonumber(s)
end

local function untilEnd(ttl) return now + ttl + 1 end

local function keep(key, ms)
  local digits = text(ms)
  if redis.call('PEXPIRE', key, digits, 'GT') == 0 then redis.call('PEXPIRE', key, digits, 'NX') end
end

local function readClaim(key, owner, ticket, info)
  local ttl, weight, capacity, state, inbox, value = string.match(info or '', '^(%d+) (%d+) (%d+)(%S*) (%S*) (.*)$')
  if not value then malformed(key) end
  local sequence, mark = 0, ''
  if state ~= '' then
    sequence, mark = string.match(state, '^/(%d+)(!?)$')
    sequence = whole(sequence, key)
  end
  return {
    owner = owner, ticket = ticket, at = whole(ticket, key), info = info, ttl = whole(ttl, key),
    weight = whole(weight, key), capacity = whole(capacity, key), inbox = inbox, value = value,
    sequence = sequence, evicted = mark == '!',
  }
end

local function withTtl(info, ttl) return ttl .. string.sub(info, string.find(info, ' '), -1) end

local function infoOf(claim)
  return text(claim.ttl) .. ' ' .. text(claim.weight) .. ' ' .. text(claim.capacity) .. '/' .. text(claim.sequence) ..
    (claim.evicted and '! ' or ' ') .. claim.inbox .. ' ' .. claim.value
end

local function rewrite(key, field, info)
  redis.call('HDEL', key, field)
  redis.call('HSET', key, field, info)
end

local function soloField(ticket, expiry, owner) return string.format('%s%013.0f%s', ticket, expiry, owner) end

local function soloClaim(key, solo, info)
  if not solo then return nil end
  local claim = readClaim(key, string.sub(solo, 30), string.sub(solo, 1, 16), info)
  claim.expiry = whole(string.sub(solo, 17, 29), key)
  if claim.expiry > untilEnd(claim.ttl) then
    claim.expiry = untilEnd(claim.ttl)
    claim.clamped = true
  end
  if now >= claim.expiry then return nil end
  return claim
end

local function keepClamped(key, claim)
  if claim.clamped then redis.call('HSET', key, 'solo', soloField(claim.ticket, claim.expiry, claim.owner)) end
end

local function announce(channel)
  if channel and channel ~= '' then redis.pcall('PUBLISH', channel, '') end
end
`;
