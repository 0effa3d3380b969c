import type { Instant, Proof } from "@leasehold/core";
import type { ClaimName } from "../format/claim-request.ts";
import type { SharedLease } from "../leases/shared-lease.ts";

/** A claim of this process, as the store has acknowledged it. */
export interface OwnClaim extends ClaimName {
  readonly key: Buffer;
  readonly capacity: number;
  readonly weight: number;
  readonly ticket: bigint;
  readonly lease: SharedLease;
  /** Once true it stays true: nothing can join ahead of a granted claim. */
  granted: boolean;
  /**
   * It was seen to be evicted: it is not on `lease` any more, and nothing refreshes it. Once true
   * it stays true.
   */
  evicted: boolean;
  /** When the acquire was answered: from then on it is in the store. */
  readonly writtenBy: Instant;
  /** When it was last acquired, or asked to be renewed. */
  askedAt: Instant;
  /** Its last acknowledgement. Its lease may have been refreshed since, without it. */
  proof: Proof;
}
