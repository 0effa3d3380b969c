import { isLeaseholdError, isStoredFailure, type ErrorCode } from "@leasehold/core";

import { isBrokenCircuitError } from "../circuit/broken-circuit-error.ts";

/** Whether another attempt may help. A code that is new to core must be decided on here. */
const mayBeRetried = {
  ACQUIRE_TIMEOUT: true,
  TOO_MANY_WAITERS: true,
  BACKEND_UNAVAILABLE: true,
  // Only if `retryIf` says so: the caller alone knows whether it may happen twice.
  OUTCOME_UNKNOWN: true,
  IDEMPOTENCY_IN_PROGRESS: true,
  // The other capacity is gone when the last holder is.
  SHAPE_MISMATCH: true,
  // Whoever has the lease now may be at the very work that would be repeated.
  LEASE_LOST: false,
  STALE_TOKEN: false,
  IDEMPOTENCY_MISMATCH: false,
  IDEMPOTENCY_FENCED: false,
  IDEMPOTENCY_RESULT_UNAVAILABLE: false,
  INVALID_ARGUMENT: false,
  CLOSED: false,
} satisfies Readonly<Record<ErrorCode, boolean>>;

/** Whether the error is one that no `retryIf` makes retryable. */
export function isNeverRetried(error: unknown): boolean {
  // The failure that an idempotency key keeps is its result: another attempt would replay it.
  if (isBrokenCircuitError(error) || isStoredFailure(error)) return true;
  // Of another copy of core the code may be one that this version does not know.
  if (isLeaseholdError(error)) return error.permanent || mayBeRetried[error.code] === false;
  // Somebody ended the call on purpose; a call whose time is over has a TimeoutError. By name: the
  // error may come from another realm.
  return typeof error === "object" && error !== null && (error as Partial<Error>).name === "AbortError";
}

/** Where no `retryIf` says: all but what may have happened already. */
export function isRetriedByDefault(error: unknown): boolean {
  return !isLeaseholdError(error, "OUTCOME_UNKNOWN");
}
