import type { Clock, Instant, Timer } from "@leasehold/core";

interface SimTimer {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

/**
 * A clock that stands still until it is told to move. Drives everything in core that depends on
 * time, without sleeping, and shows what no real clock does on demand: a blocked event loop, a
 * system that slept, a wall clock that steps.
 */
export class SimClock implements Clock {
  #monoMs = 0;
  #wallMs = Date.UTC(2026, 0, 1);
  #order = 0;
  readonly #timers = new Set<SimTimer>();

  now(): Instant {
    return { monoMs: this.#monoMs, wallMs: this.#wallMs };
  }

  schedule(delayMs: number, callback: () => void): Timer {
    const timer = { atMs: this.#monoMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** How many timers are pending: 0 after a close that leaves nothing behind. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Moves both clocks on, firing each timer at its time, and letting what it started run before the
   * next.
   */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monoMs + ms;
    await turn();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#move(Math.max(0, next.atMs - this.#monoMs));
      this.#timers.delete(next);
      next.callback();
      await turn();
    }
    this.#move(untilMs - this.#monoMs);
  }

  /**
   * Time passes and no timer has its turn: an event loop that is blocked, a process that is
   * stopped.
   */
  block(ms: number): void {
    this.#move(ms);
  }

  /** The wall clock is stepped, forward or back. */
  stepWall(ms: number): void {
    this.#wallMs += ms;
  }

  #move(ms: number): void {
    this.#monoMs += ms;
    this.#wallMs += ms;
  }

  #next(untilMs: number): SimTimer | undefined {
    let next: SimTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > untilMs) continue;
      if (
        next === undefined ||
        timer.atMs < next.atMs ||
        (timer.atMs === next.atMs && timer.order < next.order)
      )
        next = timer;
    }
    return next;
  }
}

/**
 * A full turn of the real event loop: every promise that can settle without time passing has
 * settled.
 */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
