import { changeLog } from "./change-log.ts";
import { claim } from "./claim.ts";
import { clock } from "./clock.ts";
import { line, needsLine } from "./line.ts";
import { marks } from "./marks.ts";

/**
 * Replaces the value of a granted claim, unless it has one of the same or a higher sequence. Does
 * not refresh the claim.
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | 1 | hash of the resource | 1 | owner |
 * | 2 | line: owners by ticket | 2 | ticket, 16 digits |
 * | 3 | expiries: owners by ms | 3 | sequence |
 * | | | 4 | value |
 * | | | 5 | channel to announce changes on; absent for none |
 *
 * Answers 1 if the claim is granted and alive, else 0. `l` and a `+` at the end: see line.ts.
 */
export const propose: string = `${clock}${claim}${marks}${changeLog}${line}
local base, owner, ticket, channel = KEYS[1], ARGV[1], ARGV[2], ARGV[5]
local fields = redis.call('HMGET', base, 'used', 'solo', 'info', 'upto', 'capacity', 'seen', ':' .. owner)

local function replace(claim)
  local sequence = tonumber(ARGV[3])
  if sequence <= claim.sequence then return false end
  claim.sequence, claim.value = sequence, ARGV[4]
  return true
end

if not fields[1] then
  local only = soloClaim(base, fields[2], fields[3])
  if not only or only.owner ~= owner or only.ticket ~= ticket then return 0 end
  local replaced = replace(only)
  if replaced then rewrite(base, 'info', infoOf(only)) end
  keepClamped(base, only)
  if replaced then announce(channel) end
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
local holds = mine and mine.ticket == ticket and mine.at <= l.upto
if holds and replace(mine) then
  rewrite(base, ':' .. owner, ticket .. ' ' .. infoOf(mine))
  l.changed, l.touched = true, owner
end
writeLine(l)
return withMore(l, holds and 1 or 0)
`;
