import { systemClock, type Clock, type Timer } from "@leasehold/core";

/**
 * The system's clock for a simulated process: while it is stopped no timer fires, as in a process that got SIGSTOP, and time
 * passes all the same. What fell due meanwhile fires at `resume`.
 */
export class StoppableClock implements Clock {
  #stopped = false;
  #due: (() => void)[] = [];

  now(): ReturnType<Clock["now"]> {
    return systemClock.now();
  }

  schedule(delayMs: number, callback: () => void, options?: { keepAlive?: boolean }): Timer {
    let cancelled = false;
    const fire = (): void => {
      if (cancelled) return;
      if (this.#stopped) this.#due.push(fire);
      else callback();
    };
    const timer = systemClock.schedule(delayMs, fire, options);
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
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
}
