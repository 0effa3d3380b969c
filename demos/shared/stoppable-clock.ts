import { systemClock, type Clock, type Timer } from "@leasehold/core";

/**
 * The system's clock for a simulated process: while it is stopped no timer fires, as in a process
 * that got SIGSTOP, and time passes all the same. What fell due meanwhile fires at `resume`.
 */
export class StoppableClock implements Clock {
  #stopped = false;
  #ended = false;
  #due: (() => void)[] = [];
  readonly #timers = new Set<Timer>();

  now(): ReturnType<Clock["now"]> {
    return systemClock.now();
  }

  schedule(delayMs: number, callback: () => void, options?: { keepAlive?: boolean }): Timer {
    if (this.#ended) return { cancel: () => {} };
    const fire = (): void => {
      if (!this.#timers.has(handle)) return;
      if (this.#stopped) return void this.#due.push(fire);
      this.#timers.delete(handle);
      callback();
    };
    const timer = systemClock.schedule(delayMs, fire, options);
    const handle: Timer = {
      cancel: () => {
        this.#timers.delete(handle);
        timer.cancel();
      },
    };
    this.#timers.add(handle);
    return handle;
  }

  stop(): void {
    this.#stopped = true;
  }

  resume(): void {
    this.#stopped = false;
    const due = this.#due;
    this.#due = [];
    for (const fire of due) fire();
  }

  /** Stops for good: no timer that was set keeps the process running any longer. */
  end(): void {
    this.stop();
    this.#ended = true;
    for (const timer of this.#timers) timer.cancel();
  }
}
