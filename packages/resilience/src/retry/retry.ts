import { sleep } from "@leasehold/core";

import { checkNumber, checkOptions } from "../base/arguments.ts";
import { checkCall, neverAborts } from "../base/call-signal.ts";
import { eventSink, Listeners } from "../base/listeners.ts";
import type { Failure, FailureEvent, Policy, PolicyEvent, SuccessEvent } from "../base/policy.ts";
import { TimeoutError } from "../base/time-limit.ts";
import { nextDelayMs } from "./backoff.ts";
import { CallLimits, type RetryContext } from "./call-limits.ts";
import { isNeverRetried } from "./never-retried.ts";
import { readRetryOptions, type RetryOptions, type RetrySettings } from "./retry-options.ts";
import { noteOutcome, type GivingUp, type RetryEvent } from "./retry-outcome.ts";

export interface RetryCallOptions {
  /**
   * When this call must be over, in milliseconds since the epoch by this host's clock. With
   * `deadlineMs` the earlier one counts.
   */
  readonly deadline?: number;
}

export interface RetryPolicy extends Policy<RetryContext> {
  readonly name: string;
  /**
   * Calls `fn`, and again while it fails and a retry may help.
   *
   * Rejects with what the last attempt failed with, never with a wrapping of it; `retryOutcome`
   * tells how many attempts there were, and why no more. Rejects with the signal's reason when the
   * signal aborted during a wait or before the first attempt; with a `TimeoutError` when time was
   * over during an attempt; with `INVALID_ARGUMENT`.
   */
  execute<T>(
    fn: (context: RetryContext) => PromiseLike<T> | T,
    signal?: AbortSignal,
    options?: RetryCallOptions,
  ): Promise<T>;
}

/**
 * Tries again. What `fn` does must be harmless to repeat, or guarded by an idempotency key.
 *
 * Never retried, whatever `retryIf` says: an open circuit (of this package or of cockatiel), an
 * abort, a lost lease, a stale token, an idempotency key that was used otherwise, was taken over or
 * has a failure stored, invalid arguments, a closed coordinator, and errors of this SDK that are
 * `permanent`.
 *
 * When the time of an attempt is over, its signal aborts, and the retry goes on at once: an `fn`
 * that ignores its signal then runs beside its next attempt. An abort by the caller ends a wait at
 * once; an attempt under way goes on until `fn` ends it.
 *
 * Throws `INVALID_ARGUMENT`.
 */
export function retry(options: RetryOptions = {}): RetryPolicy {
  return new Retry(readRetryOptions(options));
}

class Retry implements RetryPolicy {
  declare readonly _altReturn: never;
  readonly name: string;
  readonly onSuccess: PolicyEvent<SuccessEvent>;
  readonly onFailure: PolicyEvent<FailureEvent>;

  readonly #settings: RetrySettings;
  readonly #isTimed: boolean;
  readonly #succeeded = new Listeners<SuccessEvent>();
  readonly #failed = new Listeners<FailureEvent>();
  readonly #emit: (event: RetryEvent) => void;

  constructor(settings: RetrySettings) {
    this.#settings = settings;
    this.name = settings.name;
    this.#isTimed = settings.deadlineMs < Infinity || settings.attemptTimeoutMs < Infinity;
    this.#emit = eventSink("leasehold:retry", settings.onEvent);
    this.onSuccess = this.#succeeded.event;
    this.onFailure = this.#failed.event;
  }

  async execute<T>(
    fn: (context: RetryContext) => PromiseLike<T> | T,
    signal: AbortSignal = neverAborts,
    options?: RetryCallOptions,
  ): Promise<T> {
    const { retryIfResult, backoff, budget, clock, random } = this.#settings;
    checkCall(fn, signal);
    const startMs = this.#succeeded.any || this.#failed.any ? this.#nowMs() : null;
    const limits = this.#isTimed || options !== undefined ? this.#limits(options) : null;
    if (limits !== null && limits.remainingMs <= 0) {
      const error = new TimeoutError("deadline", 0);
      return this.#giveUp<T>({ error }, 0, "deadline", startMs);
    }
    budget?.deposit();
    let backoffMs = 0;
    for (let attempt = 1; ; attempt += 1) {
      let failure: Failure | null = null;
      let value: T | undefined;
      try {
        value = await (limits === null
          ? fn({ attempt, signal, remainingMs: Infinity })
          : limits.run(fn, attempt, signal));
      } catch (error) {
        failure = { error };
      }
      if (failure === null) {
        if (retryIfResult === undefined || !retryIfResult(value)) {
          if (startMs !== null) this.#succeeded.tell({ duration: this.#nowMs() - startMs });
          return value as T;
        }
        failure = { value };
      }
      let reason = this.#whyStop(failure, attempt, signal);
      if (reason === null) {
        backoffMs = nextDelayMs(backoff, { retry: attempt, previousMs: backoffMs, random });
        const delayMs = Math.max(backoffMs, this.#wishedMs(failure));
        if (limits !== null && delayMs >= limits.remainingMs) reason = "deadline";
        // The budget is asked last: a token is for a retry that is made.
        else if (budget?.withdraw() === false) reason = "budget";
        else {
          this.#emit({ type: "retrying", retry: this.name, attempt, delayMs, failure });
          // A wait of 0 takes a timer, too: attempts in a row would never let another timer fire.
          await sleep(clock, delayMs, signal, { keepAlive: true });
          if (signal.aborted) [failure, reason] = [{ error: signal.reason }, "aborted"];
          // The wait was to end before the deadline, but this process was late.
          else if (limits !== null && limits.remainingMs <= 0) reason = "deadline";
        }
      }
      if (reason !== null) return this.#giveUp<T>(failure, attempt, reason, startMs);
    }
  }

  #nowMs(): number {
    return this.#settings.clock.now().monoMs;
  }

  #limits(options: RetryCallOptions | undefined): CallLimits | null {
    const { clock, deadlineMs, attemptTimeoutMs } = this.#settings;
    const { deadline = Infinity } = options === undefined ? {} : checkOptions("options", options);
    checkNumber("deadline", deadline, { infinite: true });
    const totalMs = Math.min(deadlineMs, deadline - clock.now().wallMs);
    if (totalMs === Infinity && attemptTimeoutMs === Infinity) return null;
    return new CallLimits(clock, totalMs, attemptTimeoutMs);
  }

  #whyStop(failure: Failure, attempt: number, signal: AbortSignal): GivingUp | null {
    const { maxRetries, retryIf } = this.#settings;
    if (signal.aborted) return "aborted";
    if ("error" in failure && (isNeverRetried(failure.error) || !retryIf(failure.error)))
      return "not-retryable";
    return attempt > maxRetries ? "exhausted" : null;
  }

  /** A server may ask for a longer wait, but for none beyond our limit. Nonsense is ignored. */
  #wishedMs(failure: Failure): number {
    const wishedMs = this.#settings.retryAfter(failure);
    if (typeof wishedMs !== "number" || !(wishedMs > 0)) return 0;
    return Math.min(wishedMs, this.#settings.maxRetryAfterMs);
  }

  #giveUp<T>(failure: Failure, attempts: number, reason: GivingUp, startMs: number | null): T {
    const outcome = { attempts, reason };
    noteOutcome("error" in failure ? failure.error : failure.value, outcome);
    this.#emit({ type: "gave-up", retry: this.name, ...outcome, failure });
    if (startMs !== null) {
      const handled = reason !== "aborted" && reason !== "not-retryable";
      this.#failed.tell({ duration: this.#nowMs() - startMs, handled, reason: failure });
    }
    if ("error" in failure) throw failure.error;
    return failure.value as T;
  }
}
