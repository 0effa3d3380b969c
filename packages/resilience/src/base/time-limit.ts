import { within, type Clock } from "@leasehold/core";

/** What a time limit was for: one attempt, the whole call, or the probe of a half-open circuit. */
export type TimeLimit = "attempt" | "deadline" | "probe";

/**
 * Work took longer than it was given. The name is that of the platform's own error
 * (`AbortSignal.timeout`), so code that looks for `TimeoutError` finds this one, too.
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

/** Whether time was over. By name: the error may be the platform's, or of another copy or realm. */
export function isTimeout(error: unknown): boolean {
  return typeof error === "object" && error !== null && (error as Partial<Error>).name === "TimeoutError";
}

export interface TimeLimitOptions {
  readonly clock: Clock;
  /** How long the work may take from now on, in milliseconds. */
  readonly limitMs: number;
  /** What the call then rejects with. It is also the reason of the work's signal. */
  readonly timeout: () => TimeoutError;
  /** The caller's: passed on to the work. It does not end the wait: work that heard of it does. */
  readonly signal?: AbortSignal;
}

/**
 * Runs `fn` with a signal that aborts after `limitMs`. The call rejects at that moment, whatever
 * `fn` does: an `fn` that ignores its signal goes on alone, and its end changes nothing any more.
 * No timer and no listener is left once the call has settled.
 */
export function runWithin<T>(
  fn: (signal: AbortSignal) => PromiseLike<T> | T,
  { clock, limitMs, timeout, signal: outer }: TimeLimitOptions,
): Promise<T> {
  // No `AbortSignal.any`: a composite per call would cost more than the rest of a policy.
  const aborter = new AbortController();
  const passOn = (): void => aborter.abort(outer?.reason);
  if (outer?.aborted === true) passOn();
  else outer?.addEventListener("abort", passOn, { once: true });
  const expire = (): never => {
    // Work that ignored its caller's abort for so long: the abort is still what ends it.
    const error: unknown = outer?.aborted === true ? outer.reason : timeout();
    aborter.abort(error);
    throw error;
  };
  const run = async (): Promise<T> => fn(aborter.signal);
  const settled = within(run(), { clock, limitMs, keepAlive: true }, expire);
  return settled.finally(() => outer?.removeEventListener("abort", passOn));
}
