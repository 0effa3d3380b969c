import { elapsedMs, type Clock, type Instant } from "@leasehold/core";

import type { CircuitBreaker } from "../circuit/circuit-breaker.ts";

/**
 * What this node found out by itself, and for how long that is worth a vote. A breaker is open until a call tries it, so that
 * of a node without traffic would be open for ever: what it saw an hour ago must not open the circuit for a fleet in which
 * one other node has failures now.
 */
export class Opinion {
  readonly #local: CircuitBreaker;
  readonly #clock: Clock;
  readonly #lastsMs: number;
  #since: Instant;
  #forMs = 0;

  /** `lastsMs`: how long a breaker may be overdue for a probe, or half-open, and still mean something. */
  constructor(local: CircuitBreaker, clock: Clock, lastsMs: number) {
    this.#local = local;
    this.#clock = clock;
    this.#lastsMs = lastsMs;
    this.#since = clock.now();
  }

  /** The local breaker has changed its state. */
  changed(): void {
    const { state, retryAfterMs } = this.#local;
    this.#since = this.#clock.now();
    this.#forMs = state === "open" || state === "half-open" ? retryAfterMs + this.#lastsMs : 0;
  }

  /** How long it will be worth a vote from now on, if nothing changes, in milliseconds; 0 when it is none. */
  get leftMs(): number {
    return this.#forMs === 0 ? 0 : Math.max(0, this.#forMs - elapsedMs(this.#clock, this.#since));
  }
}
