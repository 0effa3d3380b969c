import { changeLog } from "./change-log.ts";
import { claim } from "./claim.ts";
import { clock } from "./clock.ts";
import { line, needsLine } from "./line.ts";
import { marks } from "./marks.ts";

/**
 * Marks the owner's claim, granted or waiting, so that nothing refreshes it any more.
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | 1 | hash of the resource | 1 | owner |
 * | 2 | line: owners by ticket | 2 | channel to announce changes on; absent for none |
 * | 3 | expiries: owners by ms | | |
 *
 * Answers 1 if the owner has a live claim, else 0; `l` and a `+` at the end: see line.ts. The step
 * may grant the owner. The caller is not the owner, so that grant is pushed, too.
 */
export const evict: string = `${clock}${claim}${marks}${changeLog}${line}
local base, owner, channel = KEYS[1], ARGV[1], ARGV[2]
local fields = redis.call('HMGET', base, 'used', 'solo', 'info', 'upto', 'capacity', 'seen', ':' .. owner)

local function mark(claim)
  if claim.evicted then return false end
  claim.evicted = true
  return true
end

if not fields[1] then
  local only = soloClaim(base, fields[2], fields[3])
  if not only or only.owner ~= owner then return 0 end
  local marked = mark(only)
  if marked then rewrite(base, 'info', infoOf(only)) end
  keepClamped(base, only)
  if marked then announce(channel) end
  return 1
end

if not KEYS[2] then return '${needsLine}' end
local l = openLine(base, KEYS[2], KEYS[3], channel, fields[1], fields[4], fields[5], fields[6])
if not l then
  clearLine(base, KEYS[2], KEYS[3], channel)
  return 0
end
local mine = claimIn(l, owner, fields[7])
grantLine(l)
if mine and mark(mine) then
  rewrite(base, ':' .. owner, mine.ticket .. ' ' .. infoOf(mine))
  l.changed, l.touched = true, owner
end
writeLine(l)
return withMore(l, mine and 1 or 0)
`;
