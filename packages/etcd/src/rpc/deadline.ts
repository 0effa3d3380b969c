import type { Clock } from "@leasehold/core";

/** The time that one call of a caller may take, over all the requests that it needs. */
export class Deadline {
  readonly #clock: Clock;
  readonly #atMs: number;

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#atMs = clock.now().monoMs + timeoutMs;
  }

  /** Milliseconds left; never negative. */
  get leftMs(): number {
    return Math.max(0, this.#atMs - this.#clock.now().monoMs);
  }
}
