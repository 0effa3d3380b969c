import { invalidArgument, systemClock, systemRandom, type Clock, type Random } from "@leasehold/core";

export interface RedisBackendOptions {
  /**
   * What every key and channel begins with. Backends of one prefix share their locks. Default `leasehold`. Characters other
   * than letters, digits and `. _ : -` are escaped.
   */
  readonly prefix?: string;
  /** Default: the system's clock. Must be the one that core counts on, so pass it here rather than there. */
  readonly clock?: Clock;
  /** Default: the system's generator. */
  readonly random?: Random;
  /**
   * How long the last ticket of a resource is remembered after its last join, in milliseconds; default 3,600,000 (an hour).
   * It costs about 130 bytes of Redis memory for each name. Tickets grow without it, too, unless the server's clock is set
   * back by more than this.
   */
  readonly ticketTtlMs?: number;
  /** How many claims are renewed by one command, on a standalone server. Default 100. */
  readonly maxBatch?: number;
}

export function completeOptions(options: RedisBackendOptions): Required<RedisBackendOptions> {
  const { prefix = "leasehold", ticketTtlMs = 3_600_000, maxBatch = 100 } = options;
  if (typeof prefix !== "string" || prefix === "")
    throw invalidArgument("prefix must be a string that is not empty.");
  if (!Number.isSafeInteger(ticketTtlMs) || ticketTtlMs < 1)
    throw invalidArgument(
      `ticketTtlMs must be a whole number of milliseconds, 1 or more; it was ${ticketTtlMs}.`,
    );
  if (!Number.isSafeInteger(maxBatch) || maxBatch < 1 || maxBatch > 1000)
    throw invalidArgument(`maxBatch must be a whole number from 1 to 1000; it was ${maxBatch}.`);
  return {
    prefix,
    ticketTtlMs,
    maxBatch,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  };
}
