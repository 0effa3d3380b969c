import { invalidArgument, systemClock, systemRandom, type Clock, type Random } from "@leasehold/core";

/** Options of `redisBackend`. */
export interface RedisBackendOptions {
  /**
   * What every key and channel begins with. Backends of one prefix share their locks. Default
   * `leasehold`. Characters other than letters, digits and `. _ : -` are escaped.
   */
  readonly prefix?: string;
  /** The clock that deadlines are counted on, here and in core. Default: the system's. */
  readonly clock?: Clock;
  /** Where chance is taken from. Default: the system's generator. */
  readonly random?: Random;
  /**
   * How long the last ticket of a resource is remembered after its last join, in milliseconds; 1 or
   * more, default 3,600,000 (an hour). It costs some 310 bytes of Redis memory for each name.
   * Tickets grow without it, too, unless the server's clock is set back by more than this.
   */
  readonly ticketTtlMs?: number;
  /** How many claims one command renews on a single server: 1 to 1,000, default 100. */
  readonly maxBatch?: number;
  /**
   * On how many replicas a grant must be before it counts: 0 or more, default 0. A grant that does
   * not get there in time is withdrawn, and the call fails with `BACKEND_UNAVAILABLE` ("It reached
   * 0 of 1 replicas."). So a failover to one of these replicas forgets no grant.
   *
   * It costs a third connection, and for each grant two more round trips, one of them (`WAIT`) as
   * long as the replicas take. It covers the grants of leases: neither their renewals, nor
   * idempotency records. It does not bound the overlap with a partitioned master: see
   * `min-replicas-to-write` in docs/operations.md. Not for a Cluster.
   */
  readonly replicas?: number;
}

/** @throws `INVALID_ARGUMENT` for what is out of bounds. */
export function completeOptions(options: RedisBackendOptions): Required<RedisBackendOptions> {
  const {
    prefix = "leasehold",
    clock = systemClock,
    random = systemRandom,
    ticketTtlMs = 3_600_000,
    maxBatch = 100,
    replicas = 0,
  } = options;
  if (typeof prefix !== "string" || prefix === "")
    throw invalidArgument("prefix must be a string that is not empty.");
  if (!Number.isSafeInteger(ticketTtlMs) || ticketTtlMs < 1)
    throw invalidArgument(
      `ticketTtlMs must be a whole number of milliseconds, 1 or more; it was ${ticketTtlMs}.`,
    );
  if (!Number.isSafeInteger(maxBatch) || maxBatch < 1 || maxBatch > 1000)
    throw invalidArgument(`maxBatch must be a whole number from 1 to 1000; it was ${maxBatch}.`);
  if (!Number.isSafeInteger(replicas) || replicas < 0)
    throw invalidArgument(`replicas must be a whole number, 0 or more; it was ${replicas}.`);
  return { prefix, clock, random, ticketTtlMs, maxBatch, replicas };
}
