import { Health, type Backend } from "@leasehold/core";
import type { RedisOptions } from "ioredis";
import { isClient, type ClusterClient, type RedisClient } from "./client/client.ts";
import { Connection } from "./client/connection.ts";
import { LineCalls } from "./client/line-calls.ts";
import { makeClient } from "./client/make-client.ts";
import { RedisIdempotencyStore } from "./idempotency-store.ts";
import { RedisLeaseStore } from "./lease-store.ts";
import { completeOptions, type RedisBackendOptions } from "./options.ts";
import { Changes } from "./pushes/changes.ts";
import { GrantPushes } from "./pushes/grants.ts";
import { Subscriber } from "./pushes/subscriber.ts";
import { inboxChannel, resourceKeysUnder } from "./scripts/keys.ts";

/** How long giving back a stray grant may take. */
const GIVE_BACK_MS = 5_000;

/**
 * Leases and idempotency records on Redis 7.0 or Valkey 7.2, or later: a single server, one behind
 * Sentinel, or a Cluster. Connects at the first call. A second connection is made for pushes of
 * grants and changes, when the first waiter or observer needs it.
 *
 * ```ts
 * const backend = redisBackend("redis://localhost");
 * const coordinator = createCoordinator({ backend, namespace: "billing" });
 * ```
 *
 * @param source - One of two things.
 *   - A URL (`redis://` or `rediss://`) or options of ioredis. The backend then makes a client of
 *     its own, sets safe options over yours, and closes the client with itself.
 *   - A client of ioredis 5 or 6, `Redis` or `Cluster`. It is used as it is, and never closed. That
 *     it sends commands again after a reset (ioredis's default) costs time, never safety.
 * @param options - All have defaults; see `RedisBackendOptions`.
 * @throws `INVALID_ARGUMENT` for options out of bounds. A server that is out of reach is no error
 *   here: calls fail with `BACKEND_UNAVAILABLE` at their deadlines.
 */
export function redisBackend(
  source: string | RedisOptions | RedisClient | ClusterClient,
  options: RedisBackendOptions = {},
): Backend {
  const { prefix, clock, random, ticketTtlMs, maxBatch } = completeOptions(options);
  const health = new Health(clock);
  const owned = !isClient(source);
  const client = owned ? makeClient(source, random) : source;
  const connection = new Connection(client, { owned, clock, health });
  const subscriber = new Subscriber({ source: client, clock, random, health });
  const changes = new Changes(subscriber);
  const pushes: GrantPushes = new GrantPushes({
    subscriber,
    channel: inboxChannel(prefix, random.hex(8)),
    clock,
    // A push does not tell whether its resource's changes are announced, so this one is. An
    // announcement that nobody hears costs little. A new leader that no observer hears of would
    // cost a ttl.
    giveBack: ({ resource: name, owner }) =>
      leases.release({ resource: { name, announce: true }, owner, timeoutMs: GIVE_BACK_MS }),
  });
  const keysOf = resourceKeysUnder(prefix);
  const calls = new LineCalls({ connection, clock, keysOf });
  const leases = new RedisLeaseStore({ connection, calls, pushes, changes, keysOf, ticketTtlMs, maxBatch });

  return {
    name: "redis",
    traits: { consistency: "single-primary", minTtlMs: 100, ttlStepMs: 1 },
    clock,
    leases,
    idempotency: new RedisIdempotencyStore({ connection, changes, prefix }),
    onDegraded: health.onDegraded,
    onRestored: health.onRestored,
    [Symbol.asyncDispose]: async () => {
      changes.close();
      pushes.close();
      subscriber.close();
      await connection[Symbol.asyncDispose]();
    },
  };
}
