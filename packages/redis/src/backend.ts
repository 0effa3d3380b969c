import type { Backend } from "@leasehold/core";
import type { RedisOptions } from "ioredis";
import { isClient, type ClusterClient, type RedisClient } from "./client/client.ts";
import { Changes } from "./pushes/changes.ts";
import { Connection } from "./client/connection.ts";
import { Degradations } from "./client/degradations.ts";
import { GrantPushes } from "./pushes/grants.ts";
import { RedisIdempotencyStore } from "./idempotency-store.ts";
import { inboxChannel, resourceKeysUnder } from "./scripts/keys.ts";
import { RedisLeaseStore } from "./lease-store.ts";
import { makeClient } from "./client/make-client.ts";
import { completeOptions, type RedisBackendOptions } from "./options.ts";
import { Subscriber } from "./pushes/subscriber.ts";

/** How long giving back a stray grant may take. */
const GIVE_BACK_MS = 5_000;

/**
 * Leases and idempotency records on Redis 7.0 or Valkey 7.2, or later: standalone, behind Sentinel, or in a Cluster.
 *
 * @param source - A URL (`redis://` or `rediss://`) or options of ioredis: then the connection is ours, safe options are set
 *   over yours, and it is closed with this backend. Or a client of ioredis 5 or 6, `Redis` or `Cluster`: then it is used as
 *   it is, and never closed. Its resending of commands (ioredis's default) costs time, never safety. Connects at the first
 *   call. For pushes of grants and changes one more connection is made, in both cases.
 * @throws `INVALID_ARGUMENT` for options out of bounds.
 */
export function redisBackend(
  source: string | RedisOptions | RedisClient | ClusterClient,
  options: RedisBackendOptions = {},
): Backend {
  const { prefix, clock, random, ticketTtlMs, maxBatch } = completeOptions(options);
  const owned = !isClient(source);
  const client = owned ? makeClient(source) : source;
  const degradations = new Degradations();
  const connection = new Connection(client, { owned, clock, degradations });
  const subscriber = new Subscriber({ source: client, clock, degradations });
  const changes = new Changes(subscriber);
  const pushes: GrantPushes = new GrantPushes({
    subscriber,
    channel: inboxChannel(prefix, random.hex(8)),
    clock,
    // A push does not tell whether its resource's changes are announced: an announcement that nobody hears costs little, and
    // a new leader that no observer hears of would cost a ttl.
    giveBack: ({ resource: name, owner }) =>
      leases.release({ resource: { name, announce: true }, owner, timeoutMs: GIVE_BACK_MS }),
  });
  const leases = new RedisLeaseStore({
    connection,
    pushes,
    changes,
    degradations,
    keysOf: resourceKeysUnder(prefix),
    ticketTtlMs,
    maxBatch,
  });

  return {
    name: "redis",
    traits: { consistency: "single-primary", minTtlMs: 100, ttlStepMs: 1 },
    clock,
    leases,
    idempotency: new RedisIdempotencyStore({ connection, changes, degradations, prefix }),
    onDegraded: (listener) => degradations.add(listener),
    [Symbol.asyncDispose]: async () => {
      changes.close();
      pushes.close();
      subscriber.close();
      await connection[Symbol.asyncDispose]();
    },
  };
}
