import type { Failure } from "../base/policy.ts";

/** Why a retry tries no more. */
export type GivingUp =
  /** `maxRetries` have been made. */
  | "exhausted"
  /** The retry budget of the dependency is used up. */
  | "budget"
  /** The deadline has passed, or would pass before the next attempt. */
  | "deadline"
  /** The caller's signal aborted. */
  | "aborted"
  /** Another attempt is of no use, or does harm: see `retry`. */
  | "not-retryable";

/** What a retry did; on the channel `leasehold:retry`. A call that succeeds at once is no event. */
export type RetryEvent =
  /** An attempt failed, and another one follows in `delayMs`. */
  | {
      readonly type: "retrying";
      /** The policy's name. Low cardinality: fit for a metric's label. */
      readonly retry: string;
      /** Which attempt has failed; 1 is the first call. */
      readonly attempt: number;
      readonly delayMs: number;
      readonly failure: Failure;
    }
  /** The call fails with what its last attempt failed with. */
  | {
      readonly type: "gave-up";
      readonly retry: string;
      readonly attempts: number;
      readonly reason: GivingUp;
      readonly failure: Failure;
    };

export interface RetryOutcome {
  /** How many attempts were made, the first call included. */
  readonly attempts: number;
  readonly reason: GivingUp;
}

/** Beside the errors, not on them: a frozen error stays as it is, and no error is wrapped. */
const outcomes = new WeakMap<object, RetryOutcome>();

/**
 * Why a retry gave up on the error that it rejected with, or on the value that it returned although
 * the value counts as a failure. Ask with the very error or value that the last attempt ended with.
 * Undefined if no retry gave up on it, and for primitives. Of nested retries the outermost answers.
 */
export function retryOutcome(errorOrValue: unknown): RetryOutcome | undefined {
  return isObject(errorOrValue) ? outcomes.get(errorOrValue) : undefined;
}

export function noteOutcome(errorOrValue: unknown, outcome: RetryOutcome): void {
  if (isObject(errorOrValue)) outcomes.set(errorOrValue, outcome);
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
