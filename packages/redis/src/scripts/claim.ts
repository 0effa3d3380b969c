/**
 * What a claim looks like in the store.
 *
 * - Its ticket: 16 digits, with leading zeros. Lua's `tostring` and cjson keep 14, and would make tickets collide.
 * - `info`, as the client sent it: `<ttl ms> <weight> <capacity> <inbox> <value>`.
 * - Uncontended, in the hash: `solo` = ticket, expiry in ms (13 digits) and owner, without anything between; and `info`.
 *   So an acquire and a release touch one key, a renewal rewrites one field, and the hash stays in Redis's compact encoding
 *   (whose values end at 64 bytes).
 * - In a line, in the hash: `:<owner>` = ticket, a space, and info.
 *
 * Functions:
 *
 * - `text(n)`: a number as digits.
 * - `whole(s, key)`: digits as a number. Anything else was not written by these scripts: the script stops, and because it
 *   reads all it needs before its first write, it stops having changed nothing.
 * - `untilEnd(ttl)`: when a claim refreshed now dies. `now` is rounded down, so one more millisecond makes sure that a
 *   claim lives its whole ttl, whatever part of the millisecond had passed.
 * - `keep(key, ms)`: the key lives `ms` more at least. Never shortens (the claim that needs it longest decides), and never
 *   leaves a key without an end: `GT` takes "no end" for infinity, hence `NX` after it.
 * - `soloClaim(key, solo, info)`: the uncontended claim, or nil if there is none that lives. An expiry further off than the
 *   claim's own ttl means that the server's clock was set back: it is cut to a ttl from now (`clamped`).
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
  local ttl, weight, capacity, inbox, value = string.match(info or '', '^(%d+) (%d+) (%d+) (%S*) (.*)$')
  if not value then malformed(key) end
  return {
    owner = owner, ticket = ticket, at = whole(ticket, key), info = info, ttl = whole(ttl, key),
    weight = whole(weight, key), capacity = whole(capacity, key), inbox = inbox, value = value,
  }
end

local function withTtl(info, ttl) return ttl .. string.sub(info, string.find(info, ' '), -1) end

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
`;
