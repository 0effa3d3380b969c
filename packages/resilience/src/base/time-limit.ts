import type { Clock } from "@leasehold/core";

/** What a time limit was for: one attempt, all attempts of a call, or the probe of a half-open circuit. */
export type TimeLimit = "attempt" | "deadline" | "probe";

/**
 * Work took longer than it was given. Named as the platform names its own (`AbortSignal.timeout`), so that code which looks
 * for `TimeoutError` finds this one, too.
 */
export class TimeoutError extends Error {
  override readonly name: string = "TimeoutError";
  readonly limit: TimeLimit;
  /** How long it may take, in milliseconds: the attempt, the probe, or the call as a whole. */
  readonly afterMs: number;

  constructor(limit: TimeLimit, afterMs: number) {
    super(
      afterMs > 0
        ? `${whatEnded[limit]} after ${Math.round(afterMs)} ms; what it did until then may have happened.`
        : "The deadline had passed before the first attempt: nothing was sent.",
    );
    this.limit = limit;
    this.afterMs = afterMs;
  }
}

const whatEnded: Readonly<Record<TimeLimit, string>> = {
  attempt: "The attempt was ended by its time limit",
  deadline: "The call was ended by its deadline",
  probe: "The probe of a half-open circuit was ended by its time limit",
};

/** Whether `error` says that time was over: ours, or the platform's. By name: it may come from another copy or realm. */
export function isTimeout(error: unknown): boolean {
  return typeof error === "object" && error !== null && (error as Partial<Error>).name === "TimeoutError";
}

export interface TimeLimitOptions {
  readonly clock: Clock;
  /** How long it may take from now on, in milliseconds. */
  readonly limitMs: number;
  /** What it then rejects with, and its signal's reason. */
  readonly timeout: () => TimeoutError;
  /** The caller's: passed on to the work, with its reason. It does not end the wait: work that was told ends it. */
  readonly signal?: AbortSignal;
}

/**
 * Runs `fn` with a signal that aborts after `limitMs`. At that moment the call rejects, whatever `fn` does: one that ignores
 * its signal goes on alone, and its end changes nothing any more. No timer and no listener is left once it has settled.
 */
export function runWithin<T>(
  fn: (signal: AbortSignal) => PromiseLike<T> | T,
  { clock, limitMs, timeout, signal: outer }: TimeLimitOptions,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const aborter = new AbortController();
    const passOn = (): void => aborter.abort(outer?.reason);
    if (outer?.aborted === true) passOn();
    else outer?.addEventListener("abort", passOn, { once: true });
    const expire = (): void => {
      // Work that ignored its caller's abort for so long: it is still the abort that ends it.
      const error: unknown = outer?.aborted === true ? outer.reason : timeout();
      outer?.removeEventListener("abort", passOn);
      reject(error);
      aborter.abort(error);
    };
    const timer = clock.schedule(limitMs, expire, { keepAlive: true });
    const stop = (): void => {
      timer.cancel();
      outer?.removeEventListener("abort", passOn);
    };
    const run = async (): Promise<T> => fn(aborter.signal);
    run().then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: unknown) => {
        stop();
        reject(error);
      },
    );
  });
}
