import type { Random } from "@leasehold/core";
import type { ClaimKeys } from "../format/claim-keys.ts";
import type { SharedLeases } from "../leases/shared-leases.ts";
import type { LineSums } from "../line/line-sums.ts";
import type { LineWatches } from "../line/line-watches.ts";
import type { Claims } from "../ownership/claims.ts";
import type { Sweeper } from "../ownership/sweeper.ts";
import type { Calls } from "../rpc/calls.ts";

/** What the calls of a backend work with. */
export interface Parts {
  readonly calls: Calls;
  readonly keys: ClaimKeys;
  readonly sums: LineSums;
  readonly leases: SharedLeases;
  readonly claims: Claims;
  readonly watches: LineWatches;
  readonly sweeper: Sweeper;
  readonly random: Random;
}
