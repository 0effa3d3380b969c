import { systemClock, type Clock, type Instant, type Timer } from "@leasehold/core";

/** The clocks of a machine whose wall clock is wrong, and may be set. */
export class SkewedClock implements Clock {
  #skewMs: number;

  constructor(skewMs: number) {
    this.#skewMs = skewMs;
  }

  now(): Instant {
    const { monoMs, wallMs } = systemClock.now();
    return { monoMs, wallMs: wallMs + this.#skewMs };
  }

  schedule(delayMs: number, callback: () => void, options?: { keepAlive?: boolean }): Timer {
    return systemClock.schedule(delayMs, callback, options);
  }

  /** Somebody sets the wall clock forward, or back. */
  step(ms: number): void {
    this.#skewMs += ms;
  }
}
