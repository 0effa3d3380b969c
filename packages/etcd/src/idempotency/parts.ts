import type { Calls } from "../rpc/calls.ts";
import type { SharedLeases } from "../leases/shared-leases.ts";
import type { Executions } from "./executions.ts";
import type { Sweeper } from "../ownership/sweeper.ts";
import type { RecordKeys } from "../format/record-keys.ts";
import type { RetentionLeases } from "../leases/retention-leases.ts";

/** What the calls of an idempotency store work with. */
export interface Parts {
  readonly calls: Calls;
  readonly keys: RecordKeys;
  readonly leases: SharedLeases;
  readonly retention: RetentionLeases;
  readonly executions: Executions;
  readonly sweeper: Sweeper;
}

/**
 * Records that others change, or leases that vanish, between two steps of one call: look again, so
 * often.
 */
export const tries = 5;
