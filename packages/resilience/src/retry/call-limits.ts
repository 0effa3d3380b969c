import type { Clock } from "@leasehold/core";

import type { PolicyContext } from "../base/policy.ts";
import { runWithin, TimeoutError } from "../base/time-limit.ts";

export interface RetryContext extends PolicyContext {
  /** Which attempt this is: 1 for the first call. */
  readonly attempt: number;
  /**
   * What this attempt has left when this is read, in milliseconds; Infinity without a time limit.
   * Send it along to the services that the attempt calls.
   */
  readonly remainingMs: number;
}

/**
 * The time of one call: all its attempts and the waits between them. It counts on the monotonic
 * clock alone, unlike a lease. Nothing here keeps two holders apart, and a wall clock that is
 * stepped must not end every call of a process.
 */
export class CallLimits {
  readonly #clock: Clock;
  readonly #totalMs: number;
  readonly #attemptTimeoutMs: number;
  #endMs: number;

  constructor(clock: Clock, totalMs: number, attemptTimeoutMs: number) {
    this.#clock = clock;
    this.#totalMs = totalMs;
    this.#attemptTimeoutMs = attemptTimeoutMs;
    this.#endMs = clock.now().monoMs + totalMs;
  }

  /** What is left, in milliseconds; 0 or less when the deadline has passed. */
  get remainingMs(): number {
    return this.#endMs - this.#clock.now().monoMs;
  }

  /** Runs one attempt within what is left. */
  run<T>(
    fn: (context: RetryContext) => PromiseLike<T> | T,
    attempt: number,
    signal: AbortSignal,
  ): Promise<T> {
    const clock = this.#clock;
    const startMs = clock.now().monoMs;
    const leftMs = this.#endMs - startMs;
    const isLast = leftMs <= this.#attemptTimeoutMs;
    const limitMs = isLast ? leftMs : this.#attemptTimeoutMs;
    const context = (merged: AbortSignal): RetryContext => ({
      attempt,
      signal: merged,
      // An own property: cockatiel's `wrap` copies contexts. The copy has the time at the start.
      get remainingMs() {
        return Math.max(0, startMs + limitMs - clock.now().monoMs);
      },
    });
    const timeout = (): TimeoutError => {
      if (!isLast) return new TimeoutError("attempt", limitMs);
      // A timer may be a fraction of a millisecond early. What was told to have passed has passed.
      this.#endMs = -Infinity;
      return new TimeoutError("deadline", this.#totalMs);
    };
    return runWithin((merged) => fn(context(merged)), { clock, limitMs, timeout, signal });
  }
}
