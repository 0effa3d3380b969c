/**
 * The longest body that a record may have, in bytes. We did not write a longer one, and send it to
 * nobody.
 */
export const maxBodyBytes: number = 8 * 2 ** 20;

/** The state that a finish leaves a record in, as it is stored. */
export const outcomeLetters = { completed: "c", failed: "f", released: "r" } as const;

/**
 * What an idempotency record looks like in the store: one hash. Its fields, the body apart, stay
 * within the 64 bytes up to which Redis keeps a hash in its compact encoding.
 *
 * | field | |
 * |---|---|
 * | version | `1`: a later layout is not guessed at |
 * | state | `p` (in progress), `c` (completed), `f` (failed) or `r` (released) |
 * | owner, fingerprint | as the client sent them |
 * | token | 16 digits, as tickets have, and for the same reason |
 * | attempt | 1 for the first execution |
 * | lease | how long the present lease is, ms |
 * | ends | until when it lasts by the server's clock, ms |
 * | watched | there if its end has to be announced; stays as long as the record does |
 * | body | there if it is completed or failed, and its result was kept |
 *
 * The key itself ends with the retention, or with the lease, whichever is later. So a record whose
 * lease has ended is still there to be taken over, and no key is ever without an end.
 *
 * Functions:
 *
 * - `text(n)`, `malformed()`: as in claim.ts.
 * - `whole(s)`: up to 13 digits as a number, which hold milliseconds until 2286. More would not
 *   survive the arithmetic.
 * - `readRecord()`: the record, or nil if there is none. Every step checks all of it before its
 *   first write: what others wrote is left as it is. A hash with none of our fields is theirs, too;
 *   hence the `EXISTS` where nothing was found.
 * - `endOf(lease)`: when a lease refreshed now ends. `now` is rounded down, so one more millisecond
 *   makes it a whole lease.
 * - `lifeOf(lease, retention)`: how long the key then lives, in milliseconds.
 * - `rewrite(field, value)`: begins with a write that a server out of memory does not refuse.
 * - `announce(record, channel)`: only if somebody said that it watches. An access list may refuse
 *   it. That must not fail the step: `pcall`.
 */
export const record = /* lua */ `
local key = KEYS[1]

local function text(n) return string.format('%.0f', n) end

local function malformed() error({err = 'MALFORMED ' .. key}) end

local function whole(s)
  if not s or #s > 13 or not string.find(s, '^%d+$') then malformed() end
  return tonumber(s)
end

local function readRecord()
  local fields = redis.call('HMGET', key, 'version', 'state', 'owner', 'token', 'attempt', 'fingerprint', 'lease', 'ends', 'watched')
  if not fields[1] then
    if redis.call('EXISTS', key) == 1 then malformed() end
    return nil
  end
  local state, token = fields[2] or '', fields[4] or ''
  if fields[1] ~= '1' or not string.find(state, '^[pcfr]$') or not fields[3] or not fields[6] then malformed() end
  local at = string.find(token, '^%d+$') and #token == 16 and tonumber(token)
  -- The next token must still be exact as a double.
  if not at or at > 9007199254740990 then malformed() end
  local record = {
    state = state, owner = fields[3], token = token, at = at, attempt = whole(fields[5]), fingerprint = fields[6],
    lease = whole(fields[7]), ends = whole(fields[8]), watched = fields[9],
  }
  if record.attempt == 0 then malformed() end
  return record
end

local function rewrite(field, value)
  redis.call('HDEL', key, field)
  redis.call('HSET', key, field, value)
end

local function announce(record, channel)
  if record.watched then redis.pcall('PUBLISH', channel, '') end
end
`;

/** What the scripts that know the time need besides. */
export const lease = /* lua */ `
local function endOf(lease) return now + lease + 1 end

local function lifeOf(lease, retention) return text(math.max(lease + 1, retention)) end
`;
