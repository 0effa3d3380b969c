import { Redis, type RedisOptions } from "ioredis";
import type { RedisClient } from "./client.ts";

/**
 * The options without which ioredis is not safe for coordination. Its defaults wait for 73 s when the server is down, and
 * run an in-flight command a second time after a reset.
 *
 * - `maxRetriesPerRequest: 0` with `autoResendUnfulfilledCommands: false`: when the connection closes, what was in flight
 *   fails at once. (The second alone leaves it pending for ever: ioredis issue 2193.)
 * - `enableOfflineQueue: false`: a request is sent now, or not at all. We wait for readiness ourselves, with a deadline.
 * - `autoResubscribe: false`: who listens has to look again after a gap, so we subscribe ourselves.
 * - `disconnectTimeout`: a socket that does not close in time would keep the process alive for it.
 */
export const safeOptions: RedisOptions = {
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  enableOfflineQueue: false,
  enableReadyCheck: true,
  enableAutoPipelining: false,
  lazyConnect: true,
  disconnectTimeout: 100,
  keepAlive: 10_000,
};

/** A client of our own. A retry comes soon, and often: a lease is waiting for it. */
export function makeClient(source: string | RedisOptions): RedisClient {
  const given = typeof source === "string" ? {} : source;
  const options: RedisOptions = {
    connectTimeout: 2_000,
    retryStrategy: (attempt) => Math.min(25 * 2 ** attempt, 500),
    ...given,
    ...safeOptions,
  };
  return typeof source === "string" ? new Redis(source, options) : new Redis(options);
}
