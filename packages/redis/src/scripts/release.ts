import { changeLog } from "./change-log.ts";
import { claim } from "./claim.ts";
import { clock } from "./clock.ts";
import { line, needsLine } from "./line.ts";
import { marks } from "./marks.ts";
import { rights } from "./rights.ts";

/**
 * Removes the owner's claim, whatever its ticket, grants those who now fit, and, if asked to,
 * leaves a mark (rule R7).
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | 1 | hash of the resource | 1 | owner |
 * | 2 | line: owners by ticket | 2 | how long the mark stays, ms; `0` for none |
 * | 3 | expiries: owners by ms | 3 | channel to announce changes on; absent for none |
 *
 * Answers 1 if a live claim was removed, else 0. `l` and a `+` at the end: see line.ts. With an
 * owner that has no claim it just grants.
 *
 * Its first write is one that a server out of memory does not refuse (HDEL, ZREM): when memory is
 * full, releasing must be possible above all.
 */
export const release: string = `${clock}
local base, owner = KEYS[1], ARGV[1]
local fields = redis.call('HMGET', base, 'solo', 'used')
local solo, used = fields[1], fields[2]
local removed = 0
if ARGV[2] ~= '0' then
${rights}
  must('PEXPIRE', base, '1')
end
if not used then
  if solo and string.sub(solo, 30) == owner then
    local ends = tonumber(string.sub(solo, 17, 29))
    if not ends then error({err = 'MALFORMED ' .. base}) end
    if now < ends then
      redis.call('HDEL', base, 'solo', 'info')
      removed = 1
      if ARGV[3] then redis.pcall('PUBLISH', ARGV[3], '') end
    end
  end
  if ARGV[2] == '0' then return removed end
end
${claim}${marks}
if not used then
  leaveMark(base, owner, tonumber(ARGV[2]))
  return removed
end
if not KEYS[2] then return '${needsLine}' end
${changeLog}${line}
local shared = redis.call('HMGET', base, 'upto', 'capacity', 'seen', ':' .. owner)
local l = openLine(base, KEYS[2], KEYS[3], ARGV[3], used, shared[1], shared[2], shared[3])
if l then
  local mine = claimIn(l, owner, shared[4])
  if mine then
    leave(l, mine)
    removed = 1
  end
  grantLine(l)
  writeLine(l, owner)
else
  clearLine(base, KEYS[2], KEYS[3], ARGV[3])
end
if ARGV[2] ~= '0' then leaveMark(base, owner, tonumber(ARGV[2])) end
return l and withMore(l, removed) or removed
`;
