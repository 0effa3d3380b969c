import { elapsedMs, type Acknowledged, type Clock, type Instant } from "@leasehold/core";
import type { ClaimName } from "../format/claim-request.ts";
import type { SharedLease } from "../leases/shared-lease.ts";

/** What an acknowledgement proved of how long a claim lives. */
export type Proof = Omit<Acknowledged, "ticket">;

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
  /** When it was last acquired, or asked to be renewed. */
  askedAt: Instant;
  /** Its last acknowledgement. Its lease may have been refreshed since, without it. */
  proof: Proof;
}

/**
 * Whether nobody has asked for the claim for longer than its ttl: then it is dead, although other
 * claims keep its lease alive (rule R6). Somebody who stopped renewing has stopped believing, or
 * has been told to.
 */
export function hasLapsed(claim: OwnClaim, clock: Clock): boolean {
  return elapsedMs(clock, claim.askedAt) > claim.lease.ttlMs;
}

/**
 * What this process knows of one owner: one acquire call, with all its tries. The shape is that of
 * the first try.
 */
export interface OwnerRecord extends ClaimName {
  readonly capacity: number;
  readonly weight: number;
  /** Where all tries of this owner write: the second finds the claim of the first. */
  readonly key: Buffer;
  /**
   * What they write. It names the owner, which tells this claim from any other that the key ever
   * held.
   */
  readonly stored: Buffer;
  readonly slot: number;
  /** How many acquires of this owner are under way. */
  pending: number;
  /** An acquire of this owner was not answered: a copy may be carried out at any later time. */
  doubtful: boolean;
  /** The claim of the last answered acquire, until it is released or known to be gone. */
  claim: OwnClaim | undefined;
  /** Released, and the store has said that nothing is left. */
  deleted: boolean;
  /** Until when a copy of an acquire may still arrive, on the monotonic clock. */
  departedUntilMs: number;
}
