import { LeaseholdError } from "@leasehold/core";
import type { Degradations } from "../client/degradations.ts";

/**
 * Tells operators of a reply that none of our scripts can have sent.
 *
 * @throws `OUTCOME_UNKNOWN`, always: the step itself may have been taken.
 */
export function unreadableReply(key: string, degradations: Degradations): never {
  const message = `The reply for Redis key "${key}" is not one of Leasehold's. Is there a proxy in between?`;
  degradations.report("malformed-record", message);
  throw new LeaseholdError("OUTCOME_UNKNOWN", message);
}
