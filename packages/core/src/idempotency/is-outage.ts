import { isLeaseholdError } from "../errors.ts";

/** Whether the store is out of reach, so that asking again may help. One that refuses, or holds something else, is not. */
export function isOutage(error: unknown): boolean {
  if (isLeaseholdError(error, "OUTCOME_UNKNOWN")) return true;
  return isLeaseholdError(error, "BACKEND_UNAVAILABLE") && !error.permanent;
}
