import { Health, invalidArgument, type Backend, type LeaseStore } from "@leasehold/core";
import type { RedisOptions } from "ioredis";
import { isClient, isCluster, type ClusterClient, type RedisClient } from "./client/client.ts";
import { Connection } from "./client/connection.ts";
import { LineCalls } from "./client/line-calls.ts";
import { makeClient } from "./client/make-client.ts";
import { warnOfMissingOptions } from "./client/missing-options.ts";
import { SplitBrainWatch } from "./client/split-brain.ts";
import { RedisIdempotencyStore } from "./idempotency-store.ts";
import { RedisLeaseStore } from "./lease-store.ts";
import { completeOptions, type RedisBackendOptions } from "./options.ts";
import { Changes } from "./pushes/changes.ts";
import { GrantPushes } from "./pushes/grants.ts";
import { Subscriber } from "./pushes/subscriber.ts";
import { makeConfirmations } from "./replicas/make-confirmations.ts";
import { ReplicatedLeaseStore } from "./replicas/replicated-lease-store.ts";
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
 *   - A client of ioredis 5 or 6, `Redis` or `Cluster`. It is used as it is, and neither reset nor
 *     closed. That it sends commands again after a reset (ioredis's default) costs time, never
 *     safety. It needs options of its own to leave a server that hangs or was demoted: see
 *     docs/redis-clients.md. A process warning (`LEASEHOLD_REDIS_CLIENT`) names what it lacks.
 * @param options - All have defaults; see `RedisBackendOptions`.
 * @throws `INVALID_ARGUMENT` for options out of bounds, and for `replicas` with a Cluster. A server
 *   that is out of reach is no error here: calls fail with `BACKEND_UNAVAILABLE` at their
 *   deadlines.
 */
export function redisBackend(
  source: string | RedisOptions | RedisClient | ClusterClient,
  options: RedisBackendOptions = {},
): Backend {
  const { prefix, clock, random, ticketTtlMs, maxBatch, replicas } = completeOptions(options);
  const health = new Health(clock);
  const owned = !isClient(source);
  if (!owned) warnOfMissingOptions(source);
  const client = owned ? makeClient(source, random) : source;
  if (replicas > 0 && isCluster(client))
    throw invalidArgument("replicas is not for a Cluster: each of its nodes has replicas of its own.");
  const connection = new Connection(client, { owned, clock, random, health });
  const splitBrain = SplitBrainWatch.of(client, health);
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
  const storeOver = (way: Connection): LeaseStore => {
    const calls = new LineCalls({ connection: way, clock, keysOf });
    return new RedisLeaseStore({ connection: way, calls, pushes, changes, keysOf, ticketTtlMs, maxBatch });
  };
  const leases = storeOver(connection);
  const confirmations =
    replicas === 0 || isCluster(client)
      ? undefined
      : makeConfirmations({ client, replicas, clock, random, health, storeOver });

  return {
    name: "redis",
    traits: { consistency: "single-primary", minTtlMs: 100, ttlStepMs: 1 },
    clock,
    leases:
      confirmations === undefined
        ? leases
        : new ReplicatedLeaseStore({ store: leases, confirmations, clock }),
    idempotency: new RedisIdempotencyStore({ connection, changes, prefix }),
    onDegraded: health.onDegraded,
    onRestored: health.onRestored,
    [Symbol.asyncDispose]: async () => {
      changes.close();
      pushes.close();
      subscriber.close();
      splitBrain?.close();
      await confirmations?.[Symbol.asyncDispose]();
      await connection[Symbol.asyncDispose]();
    },
  };
}
