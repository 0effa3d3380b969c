import type { Instant } from "../base/clock.ts";
import type { CallOptions, ChangeListener } from "./call-options.ts";

/**
 * # The contract between core and a store of claims
 *
 * A resource has a **capacity**. A **claim** on it has an owner, a weight, a ttl and a small value.
 * Claims stand in one line, in order of arrival. A claim is *granted* when the weights of all live
 * claims up to and including it fit in the capacity. Every recipe (lock, semaphore, read-write
 * lock, election, membership) is a choice of capacity and weight.
 *
 * A store promises this, and the conformance kit (`@leasehold/testing`) proves it:
 *
 * - **Each call is one atomic step**, and may be repeated: the same `(resource, owner)` gets the
 *   same answer for as long as its claim lives. So a lost reply is answered by asking again, never
 *   by guessing.
 * - **A claim's place is its ticket, and its ticket is its fencing token.** Tickets of one resource
 *   strictly grow, for ever: over expiry, release, restart and flush. A claim keeps its ticket for
 *   life; a claim that joins again after its death draws a new one.
 * - **Nobody overtakes.** Grants are given in ticket order. A grant is stable: nothing can join
 *   ahead of it.
 * - **Waiting and holding are one life.** Both are kept alive by renewal. A claim not renewed for
 *   its ttl is dead wherever it stands (rule R6): grants, sums, limits and `inspect` skip it, and
 *   it is neither renewed nor repeated into life.
 * - **A dead or departed claim makes room at once** in the next step that the store takes for this
 *   resource. The step that makes room also grants, and pushes each new grant to the process that
 *   waits.
 * - **A claim is (owner, ticket)** (rule R2): `renew` names both and is told `gone` on another
 *   ticket; `release` names the owner alone and removes whatever ticket it has.
 * - **Names are opaque.** Any string is a resource; two different strings never meet.
 * - **Nothing a client's clock says reaches the store**, and nothing the store's clock says becomes
 *   a deadline.
 */
export interface LeaseStore {
  /**
   * Joins the line, or, with `queue: false`, joins only if granted at once.
   *
   * - The owner has a live claim: the store refreshes its expiry exactly as `renew` does (rule R3),
   *   and answers its present standing. Nothing else changes: the first call's weight and value
   *   stand. (An evicted claim is not refreshed; `validFrom` then proves no more than was known.)
   * - The line has live claims of another capacity: `refused`, `shape`.
   * - The claim would have to wait, and `queue` is false: `refused`, `held`. Room is judged over
   *   the whole line, waiters included.
   * - The claim would have to wait behind `maxWaiters` waiters: `refused`, `full`.
   * - The owner is marked as departed (see `release`): `refused`, `departed`.
   *
   * A refused request leaves nothing behind.
   */
  acquire(request: AcquireRequest): Promise<Granted | Queued | Refused>;

  /**
   * Refreshes claims, granted or waiting, to live `ttlMs` from now, and tells where each stands.
   * Answers are in the order of the requests. One bad key fails only its own claim. Never rejects:
   * a claim whose answer did not come is `unanswered`. Never creates, never resurrects.
   */
  renew(requests: readonly RenewRequest[], options: CallOptions): Promise<RenewAnswer[]>;

  /**
   * Removes the owner's claim, granted or waiting, whatever its ticket, and grants those who now
   * fit. True when a live claim was removed; false when there was none. (Where the request may have
   * been written twice, true also if the last copy found nothing: an earlier one may have removed
   * it.)
   *
   * With `departedForMs` it also leaves a mark in place of the claim, for that long, whether or not
   * it found one (rule R7). An acquire of this owner may still be on its way, in a socket or in a
   * kernel's queue: when it arrives it is refused, instead of joining as a ghost that nobody waits
   * for and nobody renews. (A store may meet the same promise by sweeping, as etcd's does.)
   */
  release(request: ReleaseRequest): Promise<boolean>;

  /**
   * Replaces the value of a granted claim. True when the claim (owner and ticket) is granted and
   * alive; it then has this value, or one with a higher sequence: a proposal that arrives late, or
   * twice, changes nothing. False when it is gone. Does not refresh the claim. A renewal never
   * carries a value, so it cannot bring an old one back.
   */
  propose(request: ProposeRequest): Promise<boolean>;

  /**
   * Marks a claim, granted or waiting, so that it can no longer be renewed. It ends at its expiry,
   * or when its holder, who is told by its next renewal, releases it. So nobody else is granted
   * while the holder may still believe. (To free it at once, whatever its holder believes, is to
   * `release` it.) True when there was a live claim of this owner.
   */
  evict(request: ClaimRef & CallOptions): Promise<boolean>;

  /** The live claims of the resource of that name, oldest first. A read: it changes nothing. */
  inspect(resource: string, options: CallOptions): Promise<Snapshot>;

  /**
   * Who holds a resource that announces its changes, for those who look again and again: so that a
   * look costs what has changed, and not all that there is.
   *
   * - With `known`, the version of an earlier look at the same resource with the same `first`, a
   *   store may tell only what changed since: `whole` is false, `holders` are those who were
   *   granted, evicted, or got another value, and `gone` the owners who hold no more. Either may
   *   name claims of which nothing changed, and `gone` owners who never held. Applied to what was
   *   known, it is what `inspect` shows as holders (remaining times aside), expiry included.
   * - A store that does not know that version, or keeps none, tells the whole.
   * - With `first`, it tells the whole of so many holders, the oldest ones.
   *
   * A read: it changes nothing.
   */
  look(resource: string, options: LookOptions): Promise<Look>;

  /**
   * Hears pushed grants of waiting claims made through this backend. A push is a hint: it may be
   * lost, repeated, late or early (before the reply of the acquire that it answers). It carries the
   * ticket, so it can be checked. Returns a function that ends the listening.
   */
  onGrant(listener: GrantListener): () => void;

  /**
   * Hears when the resource of that name may have changed: a claim joined, left, was granted,
   * evicted, or got another value. Only for resources that `announce`. Expiry may be silent, so an
   * observer also looks when the earliest expiry that it was told of has passed.
   *
   * Returns a function that ends the listening; nothing is heard after it, nor after the backend
   * has closed. Does not fail for a store that is out of reach. Throws `CLOSED`.
   */
  watch(resource: string, listener: ChangeListener): () => void;
}

/** A resource, as every request names it: one value, made once by its recipe. */
export interface Resource {
  /** Any string. */
  readonly name: string;
  /** Whether changes are announced to those who `watch` it. All requests say the same. */
  readonly announce: boolean;
}

/** A resource whose capacity is known: whoever joins its line must say it. */
export interface ShapedResource extends Resource {
  /** 1 to 2^31-1. */
  readonly capacity: number;
}

/** Names one claim of one acquire call. */
export interface ClaimRef {
  readonly resource: Resource;
  /** 32 hexadecimal digits, drawn for one acquire call (rule R1). Only its retries repeat it. */
  readonly owner: string;
}

export interface AcquireRequest extends ClaimRef, CallOptions {
  readonly resource: ShapedResource;
  readonly ttlMs: number;
  /** 1 to the capacity. */
  readonly weight: number;
  /** Whether to stand in line when it cannot be granted at once. */
  readonly queue: boolean;
  /** What `inspect` shows for this claim; at most 4 KiB. */
  readonly value: string;
  /** How many claims may wait on this resource. */
  readonly maxWaiters: number;
}

export interface RenewRequest extends ClaimRef {
  readonly ticket: bigint;
  /** The ttl that the claim was acquired with. */
  readonly ttlMs: number;
}

export interface ReleaseRequest extends ClaimRef, CallOptions {
  /** Leave a mark for this long; 0 or absent: a clean release, which leaves nothing. */
  readonly departedForMs?: number;
}

export interface ProposeRequest extends ClaimRef, CallOptions {
  readonly ticket: bigint;
  /** At most 4 KiB. */
  readonly value: string;
  /** 1, 2, 3, … for each claim: the store keeps the highest. The first value has 0. */
  readonly sequence: number;
}

/**
 * An acknowledgement proves that the claim lives until `validFrom` + `ttlMs`, by the store's rate.
 */
export interface Acknowledged {
  readonly ticket: bigint;
  /** The ttl that the store granted. */
  readonly ttlMs: number;
  /**
   * From when the ttl counts: a moment before the request that this acknowledges was first written
   * (rule R4). Where many claims share one lease, the moment before that lease was last refreshed.
   * Core never guesses it.
   */
  readonly validFrom: Instant;
}

export interface Granted extends Acknowledged {
  readonly kind: "granted";
  /** A copy of the request may still be on its way: its release must leave a mark. */
  readonly resent?: boolean;
}

export interface Queued extends Acknowledged {
  readonly kind: "queued";
  /** The longest that those ahead may live without renewing, in milliseconds: ask again then. */
  readonly aheadMs: number;
  readonly resent?: boolean;
}

export interface Refused {
  readonly kind: "refused";
  readonly reason: "held" | "full" | "shape" | "departed";
  /** The capacity that the line has, for `shape`. */
  readonly capacity?: number;
}

export interface Renewed extends Acknowledged {
  readonly kind: "renewed";
  /** Whether the claim is granted by now: so a lost push costs at most one renewal period. */
  readonly granted: boolean;
  /** As in `Queued`; 0 when granted. */
  readonly aheadMs: number;
}

/** The store has no live claim of this owner and ticket. Final. */
export interface Gone {
  readonly kind: "gone";
}

/** The claim was evicted: it was not renewed, and never will be. It lives until its expiry. */
export interface Evicted {
  readonly kind: "evicted";
}

/** Nothing is known: the claim may or may not have been renewed. */
export interface Unanswered {
  readonly kind: "unanswered";
  readonly error: Error;
}

export type RenewAnswer = Renewed | Gone | Evicted | Unanswered;

export interface GrantListener {
  /** A waiting claim was granted. False: the listener does not know this owner. Release it. */
  granted(push: GrantPush): boolean;
  /** Pushes may have been missed, as by a broken watch: ask about every waiting claim now. */
  lookAgain(): void;
  /**
   * Whether the listener has a use for what the store says of this owner. A backend asks when an
   * acquire that it gave up is answered after all: a claim whose owner no listener knows is
   * released (rule R7). Absent: as if it knew every owner.
   */
  knows?(owner: string): boolean;
}

export interface GrantPush {
  /** The resource's name. */
  readonly resource: string;
  readonly owner: string;
  readonly ticket: bigint;
}

export interface Snapshot {
  /** Granted claims, oldest first. */
  readonly holders: readonly ClaimView[];
  /** Waiting claims, oldest first. */
  readonly line: readonly ClaimView[];
}

export interface LookOptions extends CallOptions {
  /** How many holders are told at most, 1 or more. Default: all. */
  readonly first?: number;
  /** The version of an earlier look. Default: none, so all is told. */
  readonly known?: string;
}

export interface Look {
  /** What `known` may be at the next look. Absent where the store keeps no version. */
  readonly version?: string;
  /** Whether `holders` are all there are, or all that `first` asks for. */
  readonly whole: boolean;
  /** Granted claims, oldest first. */
  readonly holders: readonly HolderView[];
  /** Owners who hold no more, since the version that was known. */
  readonly gone: readonly string[];
  /**
   * When to look again although nothing is announced, in milliseconds: the first of those in line
   * may die then. Infinity where expiry is announced, too.
   */
  readonly endsInMs: number;
}

/** A granted claim. */
export interface HolderView {
  readonly owner: string;
  readonly ticket: bigint;
  readonly weight: number;
  /** As stored: untrusted text. */
  readonly value: string;
  /** Of the value; 0 for the one that the claim was acquired with. */
  readonly sequence: number;
  /** Whether it can no longer be renewed. */
  readonly evicted: boolean;
}

export interface ClaimView extends HolderView {
  /** How long the claim lives on without renewal, by the store's clock, in milliseconds. */
  readonly remainingMs: number;
}
