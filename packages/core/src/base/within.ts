import type { Clock, Timer } from "./clock.ts";
import { onAbort } from "./on-abort.ts";

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
 * A promise against a deadline. Settles as `work` does. Once the time is over, or the signal has
 * aborted, it settles as `otherwise` does: with what that returns or throws. `otherwise` looks at
 * the signal to tell which it was.
 *
 * The work itself goes on: nothing can stop a promise. Its late rejection is handled here, since
 * nobody else listens any more. No timer and no listener outlives the wait.
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
      stopListening?.();
    };
    // Timers have a ceiling: a long one fires early, and is set again for what is left. But a
    // timer may also fire a fraction of a millisecond before its time, and that is in time.
    const deadlineMs = clock.now().monoMs + limitMs;
    const arm = (): Timer =>
      clock.schedule(
        deadlineMs - clock.now().monoMs,
        () => {
          if (deadlineMs - clock.now().monoMs < 1) over();
          else timer = arm();
        },
        { keepAlive },
      );
    // Without a limit a timer is of use only to keep the process running.
    let timer = limitMs === Infinity && !keepAlive ? null : arm();
    let stopListening: (() => void) | undefined;
    // First of all, and also where the signal has aborted before: a rejection is then handled here.
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
    if (signal?.aborted === true) over();
    else if (signal !== undefined) stopListening = onAbort(signal, over);
  });
}
