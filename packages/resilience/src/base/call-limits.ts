import type { Clock } from "@leasehold/core";

import type { RetryContext } from "../retry/retry.ts";
import { runWithin, TimeoutError } from "./time-limit.ts";

/**
 * The time of one call: all its attempts and the waits between them. On the monotonic clock alone, unlike a lease: nothing
 * here keeps two holders apart, and a wall clock that is stepped must not end every call of a process.
 */
export class CallLimits {
  readonly #clock: Clock;
  #endMs: number;
  readonly #attemptTimeoutMs: number;
  readonly #totalMs: number;

  constructor(clock: Clock, totalMs: number, attemptTimeoutMs: number) {
    this.#clock = clock;
    this.#endMs = clock.now().monoMs + totalMs;
    this.#attemptTimeoutMs = attemptTimeoutMs;
    this.#totalMs = totalMs;
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
      // A property of the object's own, since cockatiel's `wrap` copies contexts; what it copies is the time at the start.
      get remainingMs() {
        return Math.max(0, startMs + limitMs - clock.now().monoMs);
      },
    });
    const timeout = (): TimeoutError => {
      if (!isLast) return new TimeoutError("attempt", limitMs);
      // Timers may be a fraction of a millisecond ahead of the clock: what was told to have passed has passed.
      this.#endMs = -Infinity;
      return new TimeoutError("deadline", this.#totalMs);
    };
    return runWithin((merged) => fn(context(merged)), { clock, limitMs, timeout, signal });
  }
}
