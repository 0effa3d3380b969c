import { Backoff, Health, type Clock, type LeaseStore, type Random } from "@leasehold/core";
import type { RedisClient } from "../client/client.ts";
import { Connection } from "../client/connection.ts";
import { reconnectPace, safeOptions } from "../client/make-client.ts";
import { Confirmations } from "./confirmations.ts";

export interface ReplicationOptions {
  /** Whose server it is. */
  readonly client: RedisClient;
  readonly replicas: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly health: Health;
  /** The lease store over another connection. */
  readonly storeOver: (connection: Connection) => LeaseStore;
}

/** Confirmations over a connection of their own, which is made when the first grant needs it. */
export function makeConfirmations(options: ReplicationOptions): Confirmations {
  const { replicas, clock, random, health, storeOver } = options;
  const backoff = new Backoff(reconnectPace, random);
  const client = options.client.duplicate({
    ...safeOptions,
    connectTimeout: 2_000,
    commandTimeout: undefined,
    retryStrategy: (attempt: number) => {
      // ioredis counts from 1 again once it was connected.
      if (attempt === 1) backoff.reset();
      return backoff.nextMs();
    },
  });
  // What this connection suffers from, its callers are told. The store is not out of reach for it.
  const connection = new Connection(client, { owned: true, clock, random, health: new Health(clock) });
  const store = storeOver(connection);
  return new Confirmations({
    ...{ connection, client, replicas, clock, health },
    renew: (requests, call) => store.renew(requests, call),
  });
}
