import { record } from "./record.ts";

/**
 * Ends the present execution.
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | 1 | hash of the record | 1 | owner |
 * | | | 2 | token, 16 digits; empty for whatever token this owner has |
 * | | | 3 | `c` (completed), `f` (failed) or `r` (released) |
 * | | | 4 | retention, ms |
 * | | | 5 | channel to announce it on, if anybody watches |
 * | | | 6 | body; absent for none |
 *
 * Answers `done`, `fenced` (another's, or finished otherwise) or `missing`.
 *
 * Its first write is HDEL, which a server out of memory does not refuse. What has been executed
 * must be recorded above all: refused, it would be executed again. That may cost a body beyond the
 * limit. It is no way around the limit, since each execution has to be begun, and that is refused.
 */
export const finish: string = `${record}
local found, outcome = readRecord(), ARGV[3]
if not found then return 'missing' end
if found.owner ~= ARGV[1] or (ARGV[2] ~= '' and found.token ~= ARGV[2]) then return 'fenced' end
if found.state ~= 'p' then return found.state == outcome and 'done' or 'fenced' end
redis.call('HDEL', key, 'body')
if ARGV[6] then
  redis.call('HSET', key, 'state', outcome, 'body', ARGV[6])
else
  redis.call('HSET', key, 'state', outcome)
end
redis.call('PEXPIRE', key, ARGV[4])
announce(found, ARGV[5])
return 'done'
`;
