import { changeLog } from "./change-log.ts";
import { claim } from "./claim.ts";
import { clock } from "./clock.ts";
import { ahead, line, makesLine, needsLine } from "./line.ts";
import { marks } from "./marks.ts";
import { rights } from "./rights.ts";

/**
 * Joins the line, or answers where the owner's live claim stands, having refreshed it (rule R3).
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | 1 | hash of the resource | 1 | owner |
 * | 2 | line: owners by ticket | 2 | ttl, ms |
 * | 3 | expiries: owners by ms | 3 | how long the hash must live from now at least, ms |
 * | | | 4 | info: `<ttl> <weight> <capacity> <inbox> <value>` |
 * | | | 5 | how many may wait; `-` to be granted at once or not at all |
 * | | | 6 | channel to announce changes on; absent for none |
 *
 * Answers `g <ticket>` (granted), `q <ticket> <ahead ms>` (queued), `r held`, `r full`, `r
 * departed` or `r shape <capacity>`. A ` !` at the end: the claim was evicted and not refreshed, so
 * the answer proves nothing of its life. What info is, claim.ts tells. `l`, `n` and a `+` at the
 * end: see line.ts.
 *
 * The first part is the uncontended path: three commands, one key. What the other path needs is
 * defined below it, since defining costs time, too. The hash's field `last` is the last ticket and,
 * in 13 digits more, until when the hash is known to live. It is prolonged by an eighth more than
 * needed, so that most joins need not prolong it.
 *
 * A new claim's first write is one that a server out of memory refuses (ZADD, HSET), so that it is
 * refused whole. The refresh of a living claim begins with one that it does not refuse (PEXPIRE).
 * An evicted claim is not refreshed. What may leave a key without an end is asked for before the
 * first write (`must`): a right that is missing costs the step, and leaves nothing.
 */
export const acquire: string = `${clock}
local base, owner, ttl, needed = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local fields = redis.call('HMGET', base, 'last', 'solo', 'used', 'marks')
local last, used, marks = fields[1], fields[3], fields[4]
local ticket, kept = 0, 0
if last then ticket, kept = tonumber(string.sub(last, 1, 16)), tonumber(string.sub(last, 17)) end
if not ticket or not kept then error({err = 'MALFORMED ' .. base}) end
if ticket < us then ticket = us else ticket = ticket + 1 end

${rights}
local function joinAlone()
  local solo = string.format('%016.0f%013.0f%s', ticket, now + ttl + 1, owner)
  local drawn = string.sub(solo, 1, 16)
  if last and kept - now >= needed then
    redis.call('HSET', base, 'last', drawn .. string.sub(last, 17), 'solo', solo, 'info', ARGV[4])
  else
    must('PEXPIRE', base, '1')
    local lives = math.ceil(needed * 1.125)
    redis.call('HSET', base, 'last', string.format('%s%013.0f', drawn, now + lives), 'solo', solo, 'info', ARGV[4])
    if redis.call('PEXPIRE', base, string.format('%.0f', lives), 'GT') == 0 then
      redis.call('PEXPIRE', base, string.format('%.0f', lives), 'NX')
    end
  end
  if ARGV[6] then redis.pcall('PUBLISH', ARGV[6], '') end
  return 'g ' .. drawn
end

if not used and not marks then
  local ends = 0
  if fields[2] then ends = tonumber(string.sub(fields[2], 17, 29)) end
  if ends and now >= ends then return joinAlone() end
end
${claim}${marks}
local function departed() return marks and isMarked(base, owner) end

local only
if not used then
  local info = redis.call('HGET', base, 'info')
  only = soloClaim(base, fields[2], info)
  if only and only.owner == owner then
    if only.evicted then
      keepClamped(base, only)
      return 'g ' .. only.ticket .. ' !'
    end
    redis.call('PEXPIRE', base, text(ttl + 1001), 'GT')
    redis.call('HSET', base, 'solo', soloField(only.ticket, untilEnd(ttl), owner))
    if ttl ~= only.ttl then redis.call('HSET', base, 'info', withTtl(info, ARGV[2])) end
    return 'g ' .. only.ticket
  end
  if departed() then return 'r departed' end
  if not only then
    local answer = joinAlone()
    if marks then sweepMarks(base) end
    return answer
  end
elseif not KEYS[2] then
  return '${needsLine}'
end
${changeLog}${line}${ahead}
local asked = readClaim(base, owner, '0', ARGV[4])
local l
if used then
  local shared = redis.call('HMGET', base, 'upto', 'capacity', 'seen', ':' .. owner)
  l = openLine(base, KEYS[2], KEYS[3], ARGV[6], used, shared[1], shared[2], shared[3])
  if not l then
    clearLine(base, KEYS[2], KEYS[3], ARGV[6])
    if departed() then return 'r departed' end
    last = nil
    return joinAlone()
  end
  local mine = claimIn(l, owner, shared[4])
  grantLine(l)
  if mine then
    if not mine.evicted then
      redis.call('PEXPIRE', base, text(ttl + 1001), 'GT')
      keep(l.line, ttl + 1001)
      keep(l.expiry, ttl + 1001)
      redis.call('ZADD', l.expiry, 'XX', text(untilEnd(ttl)), owner)
      if ttl ~= mine.ttl then redis.call('HSET', base, ':' .. owner, mine.ticket .. ' ' .. withTtl(mine.info, ARGV[2])) end
    end
    writeLine(l, owner, not mine.evicted)
    local proof = mine.evicted and ' !' or ''
    if mine.at <= l.upto then return withMore(l, 'g ' .. mine.ticket .. proof) end
    return withMore(l, 'q ' .. mine.ticket .. ' ' .. aheadOf(l.line, l.expiry, owner) .. proof)
  end
  if departed() then
    writeLine(l, owner)
    return withMore(l, 'r departed')
  end
  if l.count == 0 then
    writeLine(l, owner)
    return joinAlone()
  end
else
  l = {
    base = base, line = KEYS[2], expiry = KEYS[3], count = 1, waiting = 0, used = only.weight, upto = only.at,
    capacity = only.capacity, leaving = {}, left = {}, granted = {}, clamped = {}, channel = ARGV[6],
  }
end

local fits = l.waiting == 0 and l.used + asked.weight <= l.capacity
local refusal
if l.capacity ~= asked.capacity then refusal = 'r shape ' .. text(l.capacity)
elseif not fits and ARGV[5] == '-' then refusal = 'r held'
elseif not fits and l.waiting >= tonumber(ARGV[5]) then refusal = 'r full' end
if refusal then
  if used then writeLine(l, owner)
  else keepClamped(base, only) end
  return withMore(l, refusal)
end
if not KEYS[2] then return '${makesLine}' end

local drawn = string.format('%016.0f', ticket)
local lives = ttl + 1001
must('PEXPIRE', base, '1')
must('HSET', base, 'last', '')
must('HDEL', base, 'solo')
if only then
  -- The uncontended claim moves into the line. Keys of an older line can still be there, if this hash alone was evicted.
  local remains = redis.call('ZCARD', l.line) + redis.call('ZCARD', l.expiry)
  if remains > 0 then redis.call('DEL', l.line, l.expiry) end
  redis.call('ZADD', l.line, only.ticket, only.owner, drawn, owner)
  redis.call('ZADD', l.expiry, text(only.expiry), only.owner, text(untilEnd(ttl)), owner)
  redis.call('HSET', base, 'capacity', text(l.capacity), ':' .. only.owner, only.ticket .. ' ' .. only.info)
  redis.call('HDEL', base, 'solo', 'info')
  lives = math.max(lives, only.expiry - now + 1000)
else
  redis.call('ZADD', l.line, drawn, owner)
  redis.call('ZADD', l.expiry, text(untilEnd(ttl)), owner)
end
redis.call('HSET', base, 'last', drawn .. '0000000000000', ':' .. owner, drawn .. ' ' .. ARGV[4])
l.count = l.count + 1
l.changed, l.touched = true, owner
if fits then
  l.used = l.used + asked.weight
  l.upto = ticket
end
keep(base, math.max(needed, lives))
keep(l.line, lives)
keep(l.expiry, lives)
writeLine(l, owner, true)
if marks then sweepMarks(base) end
if fits then return 'g ' .. drawn end
return withMore(l, 'q ' .. drawn .. ' ' .. aheadOf(l.line, l.expiry, owner))
`;
