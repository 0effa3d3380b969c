import type { Clock, Timer } from "./clock.ts";

export interface Bound {
  readonly clock: Clock;
  /** How long to wait, in milliseconds. Default Infinity: only `signal` ends the wait. */
  readonly limitMs?: number;
  /** Its abort ends the wait at once. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the wait keeps the process running. Default false. */
  readonly keepAlive?: boolean;
}

/**
 * A promise against a deadline. Settles as `work` does or, once the time is over or the signal
 * has aborted, as `otherwise` says: with what it returns, or what it throws. The caller's
 * `otherwise` looks at its own signal to tell which it was.
 *
 * The work itself goes on: nothing can stop a promise. A rejection of it that comes late is
 * handled here, since nobody else listens any more. No timer and no listener outlives the wait.
 */
export function within<T, U = never>(work: Promise<T>, bound: Bound, otherwise: () => U): Promise<T | U> {
  const { clock, limitMs = Infinity, signal, keepAlive = false } = bound;
  return new Promise((resolve, reject) => {
    const over = (): void => {
      leave();
      try {
        resolve(otherwise());
      } catch (error) {
        reject(error);
      }
    };
    const leave = (): void => {
      timer?.cancel();
      signal?.removeEventListener("abort", over);
    };
    // Timers have a ceiling: a long one fires early, and is set again for what is left.
    const deadlineMs = clock.now().monoMs + limitMs;
    const arm = (): Timer =>
      clock.schedule(
        deadlineMs - clock.now().monoMs,
        () => {
          if (clock.now().monoMs >= deadlineMs) over();
          else timer = arm();
        },
        { keepAlive },
      );
    // Without a limit a timer is of use only to keep the process running.
    let timer = limitMs === Infinity && !keepAlive ? null : arm();
    if (signal?.aborted === true) return over();
    signal?.addEventListener("abort", over, { once: true });
    work.then(
      (value) => {
        leave();
        resolve(value);
      },
      (error: unknown) => {
        leave();
        reject(error);
      },
    );
  });
}
