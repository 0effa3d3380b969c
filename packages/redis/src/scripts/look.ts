import { changeLog } from "./change-log.ts";
import { claim } from "./claim.ts";
import { clock } from "./clock.ts";
import { line, needsLine } from "./line.ts";
import { marks } from "./marks.ts";

/**
 * Who holds, for those who look again and again: all of it, or what changed since a version. Reads
 * only. What changed costs the server as many steps as there are changes, whoever else holds.
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | 1 | hash of the resource | 1 | how many holders at most; `0` for all |
 * | 2 | line: owners by ticket | 2 | the version that is known; empty for none |
 * | 3 | expiries: owners by ms | | |
 *
 * Answers `l` (see line.ts), or a list: `w` (the whole) or `c` (what changed), the version (empty
 * for none), in how many ms the first of them dies (empty for never), the owners that hold no more,
 * with spaces between, and six strings for each holder: owner, ticket, weight, value, sequence, `1`
 * if evicted or else `0`.
 */
export const look: string = `${clock}${claim}${marks}${changeLog}${line}
local base, most, known = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local fields = redis.call('HMGET', base, 'used', 'solo', 'info', 'upto', 'log')
local answer = {'w', '', '', ''}

local function show(claim)
  for _, item in ipairs({
    claim.owner, claim.ticket, text(claim.weight), claim.value, text(claim.sequence), claim.evicted and '1' or '0',
  }) do
    answer[#answer + 1] = item
  end
end

if not fields[1] then
  local only = soloClaim(base, fields[2], fields[3])
  if only then
    answer[3] = text(only.expiry - now)
    show(only)
  end
  return answer
end
if not KEYS[2] then return '${needsLine}' end

local count = redis.call('ZCARD', KEYS[2])
if count == 0 or count ~= redis.call('ZCARD', KEYS[3]) then return answer end
local upto, log = whole(fields[4], base), fields[5] or ''
local dead, isDead = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(now)), {}
for _, owner in ipairs(dead) do isDead[owner] = true end
answer[2] = versionOf(log)

local changed = most == 0 and changesSince(log, known)
if changed then
  answer[1] = 'c'
  local gone = dead
  for from = 1, #changed, 500 do
    local names = {}
    for i = from, math.min(from + 499, #changed) do names[#names + 1] = ':' .. changed[i] end
    for i, raw in ipairs(redis.call('HMGET', base, unpack(names))) do
      local owner = changed[from + i - 1]
      local claim = raw and not isDead[owner] and claimRecord(base, owner, raw)
      if claim and claim.at <= upto then show(claim) else gone[#gone + 1] = owner end
    end
  end
  answer[4] = table.concat(gone, ' ')
else
  local last = most == 0 and -1 or most + #dead - 1
  local shown = 0
  for _, claim in ipairs(claimRecords(base, redis.call('ZRANGE', KEYS[2], 0, last))) do
    if claim.at > upto or (most > 0 and shown == most) then break end
    if not isDead[claim.owner] then
      show(claim)
      shown = shown + 1
    end
  end
end
local first = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
if first[2] then answer[3] = text(tonumber(first[2]) - now) end
return answer
`;
