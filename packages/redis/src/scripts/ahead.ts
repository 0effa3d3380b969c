/**
 * `aheadOf(line, expiry, owner)`: how many milliseconds those ahead of `owner` may live on without renewing, at most.
 * Exact for the first eight waiters, who are the next to profit. Further back, the latest expiry of the whole line, which
 * is an upper bound and costs one step where the exact answer would cost one per claim ahead.
 */
export const ahead = /* lua */ `
local function aheadOf(line, expiry, owner)
  local rank = redis.call('ZRANK', line, owner)
  local latest = 0
  if rank > 8 then
    latest = tonumber(redis.call('ZRANGE', expiry, 0, 0, 'REV', 'WITHSCORES')[2])
  elseif rank > 0 then
    local scores = redis.call('ZMSCORE', expiry, unpack(redis.call('ZRANGE', line, 0, rank - 1)))
    for _, score in ipairs(scores) do latest = math.max(latest, tonumber(score)) end
  end
  return text(math.max(0, latest - now))
end
`;
