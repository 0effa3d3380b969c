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
  /** Trying again is of no use, or of no good: see `retry`. */
  | "not-retryable";

export interface RetryOutcome {
  /** How many attempts were made, the first call included. */
  readonly attempts: number;
  readonly reason: GivingUp;
}

/** Beside the errors, not on them: a frozen error stays as it is, and no error is wrapped. */
const outcomes = new WeakMap<object, RetryOutcome>();

/**
 * What a retry has to say of the error that it rejected with, or of the value that it gave back although it counts as a
 * failure: always the very one that the last attempt ended with. Undefined if no retry gave up on it, and for primitives.
 * Where retries are nested, the outermost speaks.
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
