/**
 * Every script that needs the time opens with this: the server's own time, to which no client's
 * clock adds anything. `us` and `now` are microseconds and whole milliseconds since the epoch,
 * exact as doubles until the year 2255.
 */
export const clock = /* lua */ `
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = (us - us % 1000) / 1000
`;
