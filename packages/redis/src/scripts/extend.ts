import { clock } from "./clock.ts";
import { lease, record } from "./record.ts";

/**
 * Refreshes lease and retention of the present execution, even if its lease has ended and nobody
 * took over.
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | 1 | hash of the record | 1 | owner |
 * | | | 2 | token, 16 digits |
 * | | | 3 | lease, ms |
 * | | | 4 | retention, ms |
 *
 * Answers `extended`, `fenced` (taken over, or finished) or `missing`.
 *
 * Its first write is PEXPIRE, which a server out of memory does not refuse. Otherwise every running
 * handler would be taken over at the moment when memory is full.
 */
export const extend: string = `${clock}${record}${lease}
local found = readRecord()
if not found then return 'missing' end
if found.state ~= 'p' or found.owner ~= ARGV[1] or found.token ~= ARGV[2] then return 'fenced' end
local asked = tonumber(ARGV[3])
redis.call('PEXPIRE', key, lifeOf(asked, tonumber(ARGV[4])))
redis.call('HSET', key, 'lease', ARGV[3], 'ends', text(endOf(asked)))
return 'extended'
`;
