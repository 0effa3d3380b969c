import { LeaseholdError } from "@leasehold/core";

/** What every call gets once the backend is closed. */
export function closedError(): LeaseholdError {
  return new LeaseholdError("CLOSED", "This etcd backend is closed.");
}
