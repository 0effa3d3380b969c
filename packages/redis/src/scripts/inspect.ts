import { changeLog } from "./change-log.ts";
import { claim } from "./claim.ts";
import { clock } from "./clock.ts";
import { line, needsLine } from "./line.ts";
import { marks } from "./marks.ts";

/**
 * The live claims of a resource, oldest first. Reads only.
 *
 * | KEYS | |
 * |---|---|
 * | 1 | hash of the resource |
 * | 2 | line: owners by ticket |
 * | 3 | expiries: owners by ms |
 *
 * Answers eight strings for each claim: `h` (holds) or `w` (waits), owner, ticket, weight, value,
 * sequence, `1` if evicted or else `0`, remaining ms. A grant is what was recorded: a waiter behind
 * a dead holder waits until the next step grants. `l`: see line.ts.
 */
export const inspect: string = `${clock}${claim}${marks}${changeLog}${line}
local base = KEYS[1]
local fields = redis.call('HMGET', base, 'used', 'solo', 'info', 'upto')
local answer = {}

local function show(standing, claim, expiry)
  if now >= expiry then return end
  local remaining = math.min(expiry - now, claim.ttl)
  for _, item in ipairs({
    standing, claim.owner, claim.ticket, text(claim.weight), claim.value, text(claim.sequence),
    claim.evicted and '1' or '0', text(remaining),
  }) do
    answer[#answer + 1] = item
  end
end

if not fields[1] then
  local only = soloClaim(base, fields[2], fields[3])
  if only then show('h', only, only.expiry) end
  return answer
end

if not KEYS[2] then return '${needsLine}' end
local scored = redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')
if #scored == 0 or #scored ~= 2 * redis.call('ZCARD', KEYS[2]) then return answer end
local expiries = {}
for i = 1, #scored, 2 do expiries[scored[i]] = tonumber(scored[i + 1]) end
local upto = whole(fields[4], base)
for _, claim in ipairs(claimRecords(base, redis.call('ZRANGE', KEYS[2], 0, -1))) do
  show(claim.at <= upto and 'h' or 'w', claim, expiries[claim.owner] or 0)
end
return answer
`;
