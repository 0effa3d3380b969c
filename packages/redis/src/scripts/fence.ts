/**
 * Scripts of the guard. The fence of a resource is a string: the highest token claimed, in decimal.
 * It has no end.
 *
 * `stale(seen, token)`: tokens compare as digits, by length and then by bytes. Lua's numbers are
 * doubles: neighbours above 2^53 would be equal. A stale token is answered as an error, so that no
 * reply of a user's script is taken for it.
 *
 * | KEYS | | ARGV | |
 * |---|---|---|---|
 * | last | fence | last | token |
 */
const fence = /* lua */ `do local function stale(seen, token) \
if seen and not string.find(seen, '^%d+$') then error({err = 'MALFORMED'}) end \
return seen and (#seen > #token or (#seen == #token and seen > token)) end `;

/** Takes the resource for the token, unless a higher one has. */
const take = /* lua */ `local fenceKey, token = table.remove(KEYS), table.remove(ARGV) \
local seen = redis.call('GET', fenceKey) \
if stale(seen, token) then return redis.error_reply('STALETOKEN ' .. seen) end \
if seen ~= token then redis.call('SET', fenceKey, token) end end `;

/** Raises the fence. Answers 1. */
export const claimToken: string = `${fence}${take} return 1`;

/** Looks only. Answers 1. */
export const checkToken: string = `${fence}
local seen = redis.call('GET', KEYS[1])
if stale(seen, ARGV[1]) then return redis.error_reply('STALETOKEN ' .. seen) end
end return 1`;

/**
 * A user's script behind the claim, in one atomic step. What stands before it is one line, so that
 * its errors tell the line of its own text plus one. That line is a block, so that its names are
 * not seen. It takes fence and token away, so that KEYS and ARGV are what the user passed.
 */
export function guarded(script: string): string {
  return `${fence}${take}\n${script}\n`;
}
