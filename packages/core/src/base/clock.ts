import { onAbort } from "./on-abort.ts";

/**
 * A moment, as this process saw it on both of its clocks. The monotonic clock never steps, but it
 * stops while the system sleeps (Linux: CLOCK_MONOTONIC). The wall clock runs through a sleep, but
 * it may be stepped. Neither alone is safe.
 */
export interface Instant {
  /** Milliseconds on the monotonic clock; only differences mean anything. */
  readonly monoMs: number;
  /** Milliseconds since the epoch on the wall clock. */
  readonly wallMs: number;
}

/** A moment so long ago that whatever counts from it is over: an answer that proves nothing. */
export const nothingProved: Instant = { monoMs: -Infinity, wallMs: -Infinity };

/** A pending call of `Clock.schedule`. */
export interface Timer {
  cancel(): void;
}

/**
 * The only door to time. Core and the backends read time and wait through a `Clock`. So a test can
 * drive a lease's whole life without sleeping, and a process has one answer to "what is now".
 */
export interface Clock {
  now(): Instant;
  /**
   * Calls `callback` once, `delayMs` from now or later, on the monotonic clock. The timer keeps the
   * process running only with `keepAlive` (default false): only a pending wait may do that.
   */
  schedule(delayMs: number, callback: () => void, options?: { keepAlive?: boolean }): Timer;
}

/**
 * Milliseconds since `start`: the larger of monotonic and wall elapsed time. So a sleep that only
 * the wall clock saw counts, and a step back of the wall clock makes no lease younger. A step
 * forward of the wall clock ages every lease: a safe loss, never a double hold.
 */
export function elapsedMs(clock: Clock, start: Instant): number {
  return elapsedAtMs(clock.now(), start);
}

/** The same, as seen at `now`. */
export function elapsedAtMs(now: Instant, start: Instant): number {
  return Math.max(now.monoMs - start.monoMs, now.wallMs - start.wallMs);
}

/** The ceiling of setTimeout, in ms: a longer delay would fire at once. Long waits look again. */
export const longestTimerMs: number = 2 ** 31 - 1;

/** Keeps the process running until it is cancelled. */
export function stayAlive(clock: Clock): Timer {
  const arm = (): Timer => clock.schedule(longestTimerMs, () => (timer = arm()), { keepAlive: true });
  let timer = arm();
  return { cancel: () => timer.cancel() };
}

/**
 * Resolves after `delayMs`, or as soon as `signal` aborts. The caller looks at the signal to tell
 * which. Never rejects.
 */
export function sleep(
  clock: Clock,
  delayMs: number,
  signal?: AbortSignal,
  options?: { keepAlive?: boolean },
): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const wake = (): void => {
      timer.cancel();
      stopListening?.();
      resolve();
    };
    const timer = clock.schedule(delayMs, wake, options);
    const stopListening = signal && onAbort(signal, wake);
  });
}
