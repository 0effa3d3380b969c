import { clock } from "./clock.ts";
import { lease, maxBodyBytes, record } from "./record.ts";
import { rights } from "./rights.ts";

/**
 * Claims an idempotency record for execution, or tells what has become of it.
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | 1 | hash of the record | 1 | owner |
 * | | | 2 | fingerprint |
 * | | | 3 | lease, ms |
 * | | | 4 | retention, ms |
 * | | | 5 | `1` to take over a record whose lease has ended, else `0` |
 * | | | 6 | `1` if the caller watches the record, else `0` |
 * | | | 7 | channel to announce a takeover on, if anybody watches |
 *
 * Answers one of these strings, or a list of one of the last two and the result's body:
 *
 * - `b <token> <attempt>`: begun.
 * - `i <ms>`: in progress, for so long unless extended.
 * - `x <attempt>`: its lease has ended, and it is not to be taken over.
 * - `m`: it has another fingerprint.
 * - `c <token> <attempt>`: completed. As a string alone, the result was not kept.
 * - `f <token> <attempt>`: failed. As for completed.
 *
 * The first write of a new execution is one that a server out of memory refuses (HSET), so that it
 * is refused whole. The repetition of a begin is no new execution, and begins with one that it does
 * not refuse (PEXPIRE).
 *
 * A lease that ends later than one refreshed now would means that the server's clock was set back.
 * It is cut to a lease from now. The cut is written, or it would begin anew with each step.
 */
export const begin: string = `${clock}${record}${lease}${rights}
local owner, fingerprint, asked, watched = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[6] == '1'
local life = lifeOf(asked, tonumber(ARGV[4]))

local function execute(token, attempt)
  local digits, count = string.format('%016.0f', token), text(attempt)
  must('PEXPIRE', key, life)
  redis.call('HSET', key, 'version', '1', 'state', 'p', 'owner', owner, 'token', digits, 'attempt', count,
    'fingerprint', fingerprint, 'lease', ARGV[3], 'ends', text(endOf(asked)))
  if watched then redis.call('HSET', key, 'watched', '1') end
  redis.call('PEXPIRE', key, life)
  return 'b ' .. digits .. ' ' .. count
end

local found = readRecord()
if not found then return execute(us, 1) end
local state, count = found.state, text(found.attempt)

local function remember()
  if watched and not found.watched then rewrite('watched', '1') end
end

local isOver = state == 'c' or state == 'f'
if found.fingerprint ~= fingerprint then
  if not isOver then remember() end
  return 'm'
end
if isOver then
  local answer = state .. ' ' .. found.token .. ' ' .. count
  local body = redis.call('HGET', key, 'body')
  if not body then return answer end
  if #body > ${maxBodyBytes} then malformed() end
  return {answer, body}
end

local nextToken = math.max(us, found.at + 1)
if state == 'r' then return execute(nextToken, found.attempt + 1) end

if found.owner == owner then
  redis.call('PEXPIRE', key, life)
  redis.call('HSET', key, 'lease', ARGV[3], 'ends', text(endOf(asked)))
  remember()
  return 'b ' .. found.token .. ' ' .. count
end

if found.ends > endOf(found.lease) then
  found.ends = endOf(found.lease)
  rewrite('ends', text(found.ends))
end
if now < found.ends then
  remember()
  return 'i ' .. text(math.min(found.ends - now, found.lease))
end
if ARGV[5] ~= '1' then
  remember()
  return 'x ' .. count
end
local begun = execute(nextToken, found.attempt + 1)
announce(found, ARGV[7])
return begun
`;
