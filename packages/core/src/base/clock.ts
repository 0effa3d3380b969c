/**
 * The only door to time. Core and the adapters read time and wait through a `Clock`, so that a test can drive a whole
 * lease's life without sleeping, and so that "what is now" has one answer in a process.
 */

/**
 * A moment, as this process saw it on both of its clocks. The monotonic clock never steps, but stops while the system
 * sleeps (Linux: CLOCK_MONOTONIC); the wall clock runs through a sleep, but may be stepped. Neither alone is safe.
 */
export interface Instant {
  /** Milliseconds on the monotonic clock; only differences mean anything. */
  readonly monoMs: number;
  /** Milliseconds since the epoch on the wall clock. */
  readonly wallMs: number;
}

/** A moment so long ago that whatever counts from it is over: for an answer that acknowledges nothing. */
export const nothingProved: Instant = { monoMs: -Infinity, wallMs: -Infinity };

/** A pending call of `Clock.schedule`. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  now(): Instant;
  /**
   * Calls `callback` once, `delayMs` from now or later, on the monotonic clock. Unless `keepAlive` is set the timer does
   * not keep the process running: only a pending wait may do that.
   */
  schedule(delayMs: number, callback: () => void, options?: { keepAlive?: boolean }): Timer;
}

/**
 * Milliseconds since `start`: the larger of monotonic and wall elapsed time. A sleep that only the wall clock saw counts;
 * a step back of the wall clock does not make a lease younger. A forward step of the wall clock ages every lease: a safe
 * loss, never a double hold.
 */
export function elapsedMs(clock: Clock, start: Instant): number {
  const now = clock.now();
  return Math.max(now.monoMs - start.monoMs, now.wallMs - start.wallMs);
}

/** setTimeout's ceiling is 2^31-1 ms; a longer delay would fire at once. Long waits wake early and look again. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The system's clocks. */
export const systemClock: Clock = {
  now: () => ({ monoMs: performance.now(), wallMs: Date.now() }),
  schedule: (delayMs, callback, options = {}) => {
    const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delayMs)), LONGEST_TIMER_MS));
    if (options.keepAlive !== true) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Keeps the process running until it is cancelled. */
export function stayAlive(clock: Clock): Timer {
  const arm = (): Timer => clock.schedule(LONGEST_TIMER_MS, () => (timer = arm()), { keepAlive: true });
  let timer = arm();
  return { cancel: () => timer.cancel() };
}

/** Resolves after `delayMs`, or as soon as `signal` aborts: the caller looks at the signal to tell which. Never rejects. */
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
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    const timer = clock.schedule(delayMs, wake, options);
    signal?.addEventListener("abort", wake, { once: true });
  });
}
