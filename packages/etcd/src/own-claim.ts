import type { ClaimRef } from "@leasehold/core";
import type { SharedLease } from "./shared-lease.ts";

/** A claim of this process, as the store has acknowledged it. */
export interface OwnClaim extends ClaimRef {
  readonly capacity: number;
  readonly weight: number;
  readonly ticket: bigint;
  readonly lease: SharedLease;
  /** Once true it stays true: nothing can join ahead of a granted claim. */
  granted: boolean;
}

/** What this process knows of one owner: one acquire call, with all its tries. */
export interface OwnerRecord extends ClaimRef {
  /** How many acquires of this owner are under way. */
  pending: number;
  /** An acquire of this owner was not answered: a copy may be carried out at any later time. */
  doubtful: boolean;
  /** The capacity that its acquires named, so that a release knows where to look. */
  readonly capacity: number;
  /** The claim of the last answered acquire, until it is released or known to be gone. */
  claim: OwnClaim | undefined;
}
