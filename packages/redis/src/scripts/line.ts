import { rights } from "./rights.ts";

/** What a script answers that was sent with too few keys, see below: there is a line. */
export const needsLine = "l";
/** As `needsLine`: there is none yet, and the caller must make it. */
export const makesLine = "n";

/**
 * The contended form. The line is a sorted set of owners by ticket, their expiries another. Their
 * records are fields of the hash, `:<owner>`. The hash also has:
 *
 * - `capacity`.
 * - `used`: the sum of the granted weights.
 * - `upto`: the last ticket granted. The granted are always a prefix of the line.
 * - `seen`: the latest server time at which a claim was written.
 * - `log`: what changed last, see change-log.ts.
 *
 * A script first *plans*, by reading alone, and then writes: what can fail, fails before anything
 * is changed.
 *
 * - `openLine`: reads the line and plans the removal of every dead claim, wherever it stands (rule
 *   R6). nil: the line is void, since one of its keys is missing (evicted, deleted, or run out with
 *   its last claim). What is left of it cannot be trusted: some of its claims might be unaccounted
 *   for.
 * - `claimIn`: the owner's claim in the line, or nil (or false) if it has none that lives.
 * - `leave`: plans the removal of a claim.
 * - `grantLine`: plans grants, from the front, while they fit. At most 1,000 in one script, so that
 *   none holds the server up for long: if more would fit, the script says so (`withMore`), and its
 *   client goes on at once.
 * - `writeLine`: does what was planned. It pushes each new grant to its claim's inbox, except the
 *   caller's own, which learns it from the reply. An access list may refuse a push. That must not
 *   fail the step: `pcall`. Then it announces the step, if anything that can be seen has changed
 *   (`changed`; a caller that changes more than this plan says so, and whose claim: `touched`).
 * - `clearLine`: forgets a void line. The last ticket and the marks stay. It announces that, since
 *   observers may have seen the line's claims.
 * - `withMore(l, answer)`: the answer, with a `+` at its end if more claims could be granted.
 *
 * What a script must be allowed to do (`must`, see rights.ts) comes with it.
 *
 * `needsLine` or `makesLine` is what a script answers, having changed nothing, if it was sent with
 * the hash alone and finds that there is a line, or must be one. In a Cluster a script whose keys
 * do not all exist is refused while their slot is moved, and a script of one key is served. So
 * there the line's keys are named only where there is a line.
 */
export const line: string = /* lua */ `${rights}
local function withMore(l, answer) return l.more and answer .. '+' or answer end

local function claimRecord(key, owner, raw)
  if not raw then malformed(key) end
  return readClaim(key, owner, string.sub(raw, 1, 16), string.sub(raw, 18))
end

local function claimRecords(key, owners)
  local claims = {}
  for from = 1, #owners, 500 do
    local fields = {}
    for i = from, math.min(from + 499, #owners) do fields[#fields + 1] = ':' .. owners[i] end
    local raws = redis.call('HMGET', key, unpack(fields))
    for i = 1, #fields do claims[#claims + 1] = claimRecord(key, owners[from + i - 1], raws[i]) end
  end
  return claims
end

local function leave(l, claim)
  l.leaving[#l.leaving + 1] = claim.owner
  l.left[claim.owner] = true
  l.count = l.count - 1
  l.changed = true
  if claim.at <= l.upto then l.used = l.used - claim.weight else l.waiting = l.waiting - 1 end
end

-- The server's clock was set back if it is behind the last write. Then, and only then, an expiry can lie further off than
-- its claim's ttl, and all of them are looked at.
local function clampLine(l)
  local scored = redis.call('ZRANGE', l.expiry, 0, -1, 'WITHSCORES')
  local owners = {}
  for i = 1, #scored, 2 do owners[#owners + 1] = scored[i] end
  for i, claim in ipairs(claimRecords(l.base, owners)) do
    if tonumber(scored[2 * i]) > untilEnd(claim.ttl) then l.clamped[#l.clamped + 1] = claim end
  end
end

local function openLine(base, line, expiry, channel, used, upto, capacity, seen)
  local count = redis.call('ZCARD', line)
  if count ~= redis.call('ZCARD', expiry) or count == 0 then return nil end
  local l = {
    base = base, line = line, expiry = expiry, count = count, used = whole(used, base), upto = whole(upto, base),
    capacity = whole(capacity, base), seen = whole(seen, base), leaving = {}, left = {}, granted = {}, clamped = {},
    channel = channel,
  }
  l.from = '(' .. upto
  l.waiting = redis.call('ZCOUNT', line, l.from, '+inf')
  if now < l.seen then clampLine(l) end
  local dead = redis.call('ZRANGEBYSCORE', expiry, '-inf', text(now))
  for _, claim in ipairs(claimRecords(base, dead)) do leave(l, claim) end
  return l
end

local function claimIn(l, owner, raw)
  return raw and not l.left[owner] and redis.call('ZSCORE', l.expiry, owner) and claimRecord(l.base, owner, raw)
end

local function grantLine(l)
  local at, size = 0, math.min(l.capacity - l.used, 100)
  while l.waiting > 0 and l.used < l.capacity do
    local owners = redis.call('ZRANGEBYSCORE', l.line, l.from, '+inf', 'LIMIT', at, size)
    if #owners == 0 then return end
    for _, claim in ipairs(claimRecords(l.base, owners)) do
      if not l.left[claim.owner] then
        if l.used + claim.weight > l.capacity then return end
        l.more = #l.granted >= 1000
        if l.more then return end
        l.used = l.used + claim.weight
        l.upto = claim.at
        l.waiting = l.waiting - 1
        l.changed = true
        l.granted[#l.granted + 1] = claim
      end
    end
    at, size = at + #owners, 100
  end
end

local function writeLine(l, caller, refreshed)
  for from = 1, #l.leaving, 500 do
    local to = math.min(from + 499, #l.leaving)
    local fields = {}
    for i = from, to do fields[#fields + 1] = ':' .. l.leaving[i] end
    redis.call('ZREM', l.line, unpack(l.leaving, from, to))
    redis.call('ZREM', l.expiry, unpack(l.leaving, from, to))
    redis.call('HDEL', l.base, unpack(fields))
  end
  if l.count == 0 then
    redis.call('HDEL', l.base, 'used', 'upto', 'capacity', 'seen', 'log')
    announce(l.channel)
    return
  end
  for _, claim in ipairs(l.clamped) do redis.call('ZADD', l.expiry, 'XX', text(untilEnd(claim.ttl)), claim.owner) end
  if refreshed or #l.leaving > 0 or #l.granted > 0 or #l.clamped > 0 then
    redis.call('HSET', l.base, 'used', text(l.used), 'upto', text(l.upto), 'seen', text(now))
  end
  for _, claim in ipairs(l.granted) do
    if claim.owner ~= caller then
      redis.pcall('PUBLISH', claim.inbox, claim.ticket .. ' ' .. l.base .. ' ' .. claim.owner)
    end
  end
  if l.changed then
    noteChanges(l)
    announce(l.channel)
  end
end

local function clearLine(base, line, expiry, channel)
  must('PEXPIRE', base, '1')
  local rest, last, kept = redis.call('PTTL', base), redis.call('HGET', base, 'last'), readMarks(base)
  redis.call('DEL', base, line, expiry)
  if last then redis.call('HSET', base, 'last', last) end
  for from = 1, #kept, 500 do redis.call('HSET', base, unpack(kept, from, math.min(from + 499, #kept))) end
  if last or #kept > 0 then redis.call('PEXPIRE', base, text(rest > 0 and rest or 3600000)) end
  announce(channel)
end
`;

/**
 * `aheadOf(line, expiry, owner)`: how many milliseconds those ahead of `owner` may live on without
 * renewing, at most. Exact for the first eight waiters, who are the next to profit. Further back it
 * is the latest expiry of the whole line. That is an upper bound, and costs one step where the
 * exact answer would cost one per claim ahead.
 */
export const ahead = /* lua */ `
local function aheadOf(line, expiry, owner)
  local rank = redis.call('ZRANK', line, owner)
  local latest = 0
  if rank > 8 then
    latest = tonumber(redis.call('ZRANGE', expiry, 0, 0, 'REV', 'WITHSCORES')[2])
  elseif rank > 0 then
    local scores = redis.call('ZMSCORE', expiry, unpack(redis.call('ZRANGE', line, 0, rank - 1)))
    for _, score in ipairs(scores) do latest = math.max(latest, tonumber(score)) end
  end
  return text(math.max(0, latest - now))
end
`;
