import type { RunPolicy } from "../base/policy.ts";
import type { Metadata } from "./claim-value.ts";

export interface AcquireOptions {
  /**
   * How long the lease outlives its last renewal, in milliseconds. Default: the coordinator's
   * (15,000).
   */
  readonly ttlMs?: number;
  /**
   * How long to wait in line, in milliseconds. 0 tries once; Infinity is allowed. Default: the
   * coordinator's (30,000).
   */
  readonly waitMs?: number;
  /**
   * Ends the wait: the call rejects at once with this signal's reason. It has no effect once the
   * lease is granted. Default: none.
   */
  readonly signal?: AbortSignal;
  /** What `inspect` shows of the claim: a flat record of text, at most 4 KiB. Default: empty. */
  readonly metadata?: Metadata;
}

export interface RunOptions extends AcquireOptions {
  /**
   * Runs each attempt as a whole, acquiring included: a retry gets a lease, and a fencing token, of
   * its own. The end of an attempt, such as that of a time limit, ends its wait and aborts the
   * signal of its lease. Default: one attempt.
   */
  readonly policy?: RunPolicy;
}

export type TryAcquireOptions = Pick<AcquireOptions, "ttlMs" | "metadata" | "signal">;

/** What every coordinator has a default for. */
export interface Defaults {
  readonly ttlMs: number;
  readonly waitMs: number;
  /** After how many milliseconds a body that ignores its aborted signal is reported. */
  readonly graceMs: number;
  readonly label: string | undefined;
}
