import { Backoff, type Random } from "@leasehold/core";
import { Redis, type RedisOptions } from "ioredis";
import type { RedisClient } from "./client.ts";
import { socketOf, unrefReconnect } from "./socket.ts";

/**
 * The options without which ioredis is not safe for coordination. Its defaults wait for 73 s when
 * the server is down, and run a command that was in flight a second time after a reset.
 *
 * - `maxRetriesPerRequest: 0` with `autoResendUnfulfilledCommands: false`: when the connection
 *   closes, what was in flight fails at once. (The second alone leaves it pending for ever: ioredis
 *   issue 2193.)
 * - `enableOfflineQueue: false`: a request is sent now, or not at all. `Connection` waits for
 *   readiness, with a deadline.
 * - `autoResubscribe: false`: a listener has to look again after a gap, so `Subscriber` subscribes.
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

/** The pause between two attempts to connect. It is short: a lease is waiting for it. */
export const reconnectPace = { firstMs: 50, longestMs: 500 };

/**
 * A client of our own. What hangs is bounded: TCP by `connectTimeout`, a question to Sentinel by
 * `sentinelCommandTimeout`, an attempt as a whole by `Readiness`.
 */
export function makeClient(source: string | RedisOptions, random: Random): RedisClient {
  const given = typeof source === "string" ? {} : source;
  const options: RedisOptions = {
    connectTimeout: 2_000,
    sentinelCommandTimeout: 1_000,
    retryStrategy: pausesOf(random),
    sentinelRetryStrategy: pausesOf(random),
    ...given,
    ...safeOptions,
  };
  const client = typeof source === "string" ? new Redis(source, options) : new Redis(options);
  // Calls in flight keep the process alive by their deadlines. An idle connection must not.
  client.on("connect", () => socketOf(client)?.unref());
  client.on("reconnecting", () => unrefReconnect(client));
  // An 'error' that nobody hears is printed by ioredis, also after the backend was closed.
  client.on("error", () => {});
  return client;
}

/** Pauses with jitter. ioredis counts from 1 again once it was connected. */
function pausesOf(random: Random): (attempt: number) => number {
  const backoff = new Backoff(reconnectPace, random);
  return (attempt) => {
    if (attempt === 1) backoff.reset();
    return backoff.nextMs();
  };
}
