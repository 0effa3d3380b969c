import { isLeaseholdError, isStoredFailure } from "@leasehold/core";

import { isBrokenCircuitError } from "../circuit/broken-circuit-error.ts";

/** What asking again cannot mend; and a lost lease: whoever has it now may be at the very work that would be repeated. */
const finalCodes: ReadonlySet<string> = new Set([
  "LEASE_LOST",
  "STALE_TOKEN",
  "IDEMPOTENCY_MISMATCH",
  "IDEMPOTENCY_FENCED",
  "IDEMPOTENCY_RESULT_UNAVAILABLE",
  "INVALID_ARGUMENT",
  "CLOSED",
]);

/** Errors that no `retryIf` makes retryable. */
export function isNeverRetried(error: unknown): boolean {
  // The failure that an idempotency key keeps is its result: asking again would replay it.
  if (isBrokenCircuitError(error) || isStoredFailure(error)) return true;
  if (isLeaseholdError(error)) return error.permanent || finalCodes.has(error.code);
  // Somebody ended it on purpose; time that is over says TimeoutError. By name, since it may come from another realm.
  return typeof error === "object" && error !== null && (error as Partial<Error>).name === "AbortError";
}

/** Where no `retryIf` says: not what may have happened already, since only the caller knows whether it may happen twice. */
export function isRetriedByDefault(error: unknown): boolean {
  return !isLeaseholdError(error, "OUTCOME_UNKNOWN");
}
