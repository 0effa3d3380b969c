import { changeLog } from "./change-log.ts";
import { claim } from "./claim.ts";
import { clock } from "./clock.ts";
import { ahead, line, needsLine } from "./line.ts";
import { marks } from "./marks.ts";

/**
 * Refreshes claims, of any number of resources. Never creates, never resurrects.
 *
 * | KEYS, three for each claim, or the first alone | | ARGV, four for each claim | |
 * |---|---|---|---|
 * | 1 | hash of the resource | 1 | owner |
 * | 2 | line: owners by ticket | 2 | ticket, 16 digits |
 * | 3 | expiries: owners by ms | 3 | ttl, ms |
 * | | | 4 | channel to announce changes on; empty for none |
 *
 * Answers one string for each claim, in order: `h` (holds), `w <ahead ms>` (waits), `v` (evicted,
 * and not refreshed), `x` (gone) or `e <error>`; `l` and a `+` at the end: see line.ts. Each claim
 * is renewed under `pcall`: a key of another type under one name must not cost the others their
 * leases.
 *
 * A renewal's first write is PEXPIRE, which a server out of memory does not refuse. Otherwise every
 * lock would be lost at the moment when its memory is full.
 */
export const renew: string = `${clock}${claim}${marks}${changeLog}${line}${ahead}
local function renewOne(base, lineKey, expiryKey, owner, ticket, digits, channel)
  local ttl = tonumber(digits)
  local fields = redis.call('HMGET', base, 'used', 'solo', 'info', 'upto', 'capacity', 'seen', ':' .. owner)
  if not fields[1] then
    local only = soloClaim(base, fields[2], fields[3])
    if not only or only.owner ~= owner or only.ticket ~= ticket then return 'x' end
    if only.evicted then
      keepClamped(base, only)
      return 'v'
    end
    redis.call('PEXPIRE', base, text(ttl + 1001), 'GT')
    redis.call('HSET', base, 'solo', soloField(ticket, untilEnd(ttl), owner))
    if ttl ~= only.ttl then redis.call('HSET', base, 'info', withTtl(only.info, digits)) end
    return 'h'
  end

  if not lineKey then return '${needsLine}' end
  local l = openLine(base, lineKey, expiryKey, channel, fields[1], fields[4], fields[5], fields[6])
  if not l then
    clearLine(base, lineKey, expiryKey, channel)
    return 'x'
  end
  local mine = claimIn(l, owner, fields[7])
  grantLine(l)
  if not mine or mine.ticket ~= ticket or mine.evicted then
    writeLine(l)
    return withMore(l, mine and mine.ticket == ticket and 'v' or 'x')
  end
  redis.call('PEXPIRE', base, text(ttl + 1001), 'GT')
  keep(l.line, ttl + 1001)
  keep(l.expiry, ttl + 1001)
  redis.call('ZADD', l.expiry, 'XX', text(untilEnd(ttl)), owner)
  if ttl ~= mine.ttl then redis.call('HSET', base, ':' .. owner, ticket .. ' ' .. withTtl(mine.info, digits)) end
  writeLine(l, owner, true)
  if mine.at <= l.upto then return withMore(l, 'h') end
  return withMore(l, 'w ' .. aheadOf(l.line, l.expiry, owner))
end

local answers = {}
local each = #KEYS / (#ARGV / 4)
for a = 1, #ARGV, 4 do
  local k = (a - 1) / 4 * each + 1
  local lineKey, expiryKey
  if each == 3 then lineKey, expiryKey = KEYS[k + 1], KEYS[k + 2] end
  local done, answer = pcall(renewOne, KEYS[k], lineKey, expiryKey, ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3])
  if not done then answer = 'e ' .. (type(answer) == 'table' and answer.err or tostring(answer)) end
  answers[#answers + 1] = answer
end
return answers
`;
