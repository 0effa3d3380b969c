import type { Clock, Instant } from "../base/clock.ts";
import type { IdempotencyStore } from "./idempotency-store.ts";

/**
 * # The contract between core and a store
 *
 * A resource has a **capacity**. A **claim** on it has an owner, a weight, a ttl and a small value. Claims stand in one
 * line, in order of arrival. A claim is *granted* when the weights of all live claims up to and including it fit in the
 * capacity. Every recipe (lock, semaphore, read-write lock, election, membership) is a choice of capacity and weight.
 *
 * What a store promises, and the conformance kit (`@leasehold/testing`) proves:
 *
 * - **Each call is one atomic step**, and may be repeated: the same `(resource, owner)` gets the same answer for as long
 *   as its claim lives. So a lost reply is answered by asking again, never by guessing.
 * - **A claim's place is its ticket, and its ticket is its fencing token.** Tickets of one resource strictly grow, for
 *   ever: over expiry, release, restart and flush. A claim keeps its ticket for life; a claim that joins again after its
 *   death draws a new one.
 * - **Nobody overtakes.** Grants are given in ticket order. A grant is stable: nothing can join ahead of it.
 * - **Waiting and holding are one life.** Both are kept alive by renewal. A claim not renewed for its ttl is dead wherever
 *   it stands (rule R6): it is skipped by grants, sums, limits and `inspect`, and neither renewed nor repeated into life.
 * - **A dead or departed claim makes room at once** in the next step that the store takes for this resource, and the step
 *   that makes room also grants, and pushes each new grant to the process that waits.
 * - **A claim is (owner, ticket)** (rule R2): `renew` names both and is told `gone` on another ticket; `release` names the
 *   owner alone and removes whatever ticket it has.
 * - **Names are opaque.** Any string is a resource; two different strings never meet.
 * - **Nothing a client's clock says reaches the store**, and nothing the store's clock says becomes a deadline.
 *
 * Core passes complete, validated arguments. A backend throws a `LeaseholdError`, and only these: `BACKEND_UNAVAILABLE`
 * when it knows that nothing was written, `OUTCOME_UNKNOWN` when a request left and no answer came, `CLOSED`, and
 * `INVALID_ARGUMENT` for a bound that only the store knows.
 */
export interface Backend extends AsyncDisposable {
  /** Short name of the kind of store, for events and messages: `memory`, `redis`, `etcd`. */
  readonly name: string;
  readonly traits: Traits;
  readonly leases: LeaseStore;
  readonly idempotency: IdempotencyStore;
  /** The clock on which this backend stamps `validFrom`. Core counts deadlines on the same one. */
  readonly clock: Clock;
  /**
   * Whether `dependency` is the store that this backend keeps its claims in: the backend itself, the client or the address that
   * it was made from, or another client or URL of the same server. Who must not guard what it stands on asks this.
   */
  livesOn(dependency: unknown): boolean;
  /** Hears that the store cannot be reached, or has lost something. Returns a function that ends the listening. */
  onDegraded(listener: (degradation: Degradation) => void): () => void;
}

/** What differs between stores. Users see it; core checks requests against it. */
export interface Traits {
  /**
   * `linearizable`: an acknowledged step survives any fault that the store itself survives. `single-primary`: a failover,
   * a flush, or a restart without persistence may forget acknowledged claims; only fencing holds through those.
   */
  readonly consistency: "linearizable" | "single-primary";
  /** The shortest ttl that the store can keep, in milliseconds. A shorter one is refused, never rounded up in silence. */
  readonly minTtlMs: number;
  /** Ttls must be a multiple of this, in milliseconds. */
  readonly ttlStepMs: number;
}

/** Something that weakens or delays, and that operators should see. No secrets, no owners in full. */
export interface Degradation {
  readonly reason:
    /** The store does not answer, or the connection is gone. Sent once per outage. */
    | "unreachable"
    /** Pushes may have been missed. Waiting claims were asked about again at once. */
    | "pushes-interrupted"
    /** The store answered with something that this backend did not write. */
    | "malformed-record";
  readonly message: string;
}

export interface LeaseStore {
  /**
   * Joins the line, or, with `queue: false`, joins only if granted at once.
   *
   * - The owner has a live claim: its expiry is refreshed exactly as `renew` does (rule R3), and its present standing
   *   answered. Nothing else changes: the first call's capacity, weight and value stand. (An evicted claim is not refreshed;
   *   then `validFrom` proves no more than was known before.)
   * - The line has live claims of another capacity: `refused`, `shape`.
   * - It would have to wait, and `queue` is false: `refused`, `held`. Room is judged over the whole line, waiters included.
   * - It would have to wait behind `maxWaiters` waiters: `refused`, `full`.
   * - The owner is marked as departed (see `release`): `refused`, `departed`.
   *
   * A refused request leaves nothing behind.
   */
  acquire(request: AcquireRequest): Promise<Granted | Queued | Refused>;

  /**
   * Refreshes claims, granted or waiting, to live `ttlMs` from now, and tells where each stands. Answers are in the order of
   * the requests. One bad key fails only its own claim. Never rejects: a claim whose answer did not come is `unanswered`.
   * Never creates, never resurrects.
   */
  renew(requests: readonly RenewRequest[], options: CallOptions): Promise<RenewAnswer[]>;

  /**
   * Removes the owner's claim, granted or waiting, whatever its ticket, and grants those who now fit. True when a live
   * claim was removed; false when there was none. (Where the request may have been written twice, true also if the last
   * copy found nothing: an earlier one may have removed it.)
   *
   * With `departedForMs` it also leaves a mark in place of the claim, for that long, whether or not it found one (rule R7):
   * an acquire of this owner that is still on its way, in a socket or a kernel's queue, is then refused when it arrives,
   * instead of joining as a ghost that nobody waits for and nobody renews. (An etcd backend may meet the same promise by
   * sweeping: see there.)
   */
  release(request: ReleaseRequest): Promise<boolean>;

  /**
   * Replaces the value of a granted claim. True when the claim (owner and ticket) is granted and alive; it then has this
   * value, or one with a higher sequence: a proposal that arrives late, or twice, changes nothing. False when it is gone.
   * Does not refresh the claim. A renewal never carries a value, so it cannot bring an old one back.
   */
  propose(request: ProposeRequest): Promise<boolean>;

  /**
   * Marks a claim, granted or waiting, so that it can no longer be renewed: it ends at its expiry, or when its holder, who
   * is told by its next renewal, releases it. So nobody else is granted while the holder may still believe. (To free it at
   * once, whatever its holder believes, is to `release` it.) True when there was a live claim of this owner.
   */
  evict(request: ClaimRef & CallOptions & { readonly announce?: boolean }): Promise<boolean>;

  /** The live claims of a resource, oldest first. A read: it changes nothing. */
  inspect(resource: string, options: CallOptions): Promise<Snapshot>;

  /**
   * Hears pushed grants of waiting claims made through this backend. A push is a hint that may be lost, repeated, late or
   * early (before the reply of the acquire that it answers); it carries the ticket, so it can be checked. Returns a
   * function that ends the listening.
   */
  onGrant(listener: GrantListener): () => void;

  /**
   * Yields when watching has begun, and then whenever something about the resource may have changed: a claim joined, left,
   * was granted, evicted, or got another value; and after any interruption, since changes may have been missed. A hint to
   * look again: it may come late, twice, or for nothing, and many changes may be one. Of claims whose requests say
   * `announce`; and expiry may be silent, so who watches also looks when the earliest expiry it knows has passed. Ends when
   * `signal` aborts, or the backend is closed; never throws for a store that is out of reach.
   */
  watch(resource: string, signal: AbortSignal): AsyncIterable<void>;
}

/** Names one claim of one acquire call. */
export interface ClaimRef {
  /** Any string. */
  readonly resource: string;
  /** 32 hexadecimal digits, drawn for one acquire call (rule R1). Only a retry of that call repeats it. */
  readonly owner: string;
}

export interface CallOptions {
  /** After this long without an answer the call is given up: `OUTCOME_UNKNOWN`, or `BACKEND_UNAVAILABLE` if nothing left. */
  readonly timeoutMs: number;
}

export interface AcquireRequest extends ClaimRef, CallOptions {
  readonly ttlMs: number;
  /** 1 to 2^31-1. */
  readonly capacity: number;
  /** 1 to `capacity`. */
  readonly weight: number;
  /** Whether to stand in line when it cannot be granted at once. */
  readonly queue: boolean;
  /** What `inspect` shows for this claim; at most 4 KiB. */
  readonly value: string;
  /** How many claims may wait on this resource. */
  readonly maxWaiters: number;
  /** Whether changes are announced to those who `watch` this resource. All requests of a resource say the same. */
  readonly announce?: boolean;
}

export interface RenewRequest extends ClaimRef {
  readonly ticket: bigint;
  /** The ttl that the claim was acquired with. */
  readonly ttlMs: number;
  readonly announce?: boolean;
}

export interface ReleaseRequest extends ClaimRef, CallOptions {
  /** Leave a mark for this long; 0 or absent: a clean release, which leaves nothing. */
  readonly departedForMs?: number;
  readonly announce?: boolean;
}

export interface ProposeRequest extends ClaimRef, CallOptions {
  readonly ticket: bigint;
  /** At most 4 KiB. */
  readonly value: string;
  /** 1, 2, 3, … for each claim: the store keeps the highest. The value that the claim was acquired with has 0. */
  readonly sequence: number;
  readonly announce?: boolean;
}

/** What an acknowledgement proves: the claim lives until `validFrom` + `ttlMs` at least, by the rate of the store's clock. */
export interface Acknowledged {
  readonly ticket: bigint;
  /** The ttl that the store granted. */
  readonly ttlMs: number;
  /**
   * From when the ttl counts: a moment before the request that this acknowledges was first written (rule R4). Where many
   * claims share one lease, the moment before that lease was last refreshed. Core never guesses it.
   */
  readonly validFrom: Instant;
}

export interface Granted extends Acknowledged {
  readonly kind: "granted";
  /** The request may have been written more than once, so a copy may still be on its way: its release must leave a mark. */
  readonly resent?: boolean;
}

export interface Queued extends Acknowledged {
  readonly kind: "queued";
  /** Upper bound of how long those ahead may still live without renewing, in milliseconds: worth asking again then. */
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

/** The claim was evicted: it was not renewed, and never will be. It lives until its expiry, or until it is released. */
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
  /** A waiting claim was granted. Answers whether the listener knows this owner; a grant nobody knows is released. */
  granted(push: GrantPush): boolean;
  /** Pushes may have been missed (a new subscription, a broken watch): ask about every waiting claim now. */
  lookAgain(): void;
}

export interface GrantPush extends ClaimRef {
  readonly ticket: bigint;
}

export interface Snapshot {
  /** Granted claims, oldest first. */
  readonly holders: readonly ClaimView[];
  /** Waiting claims, oldest first. */
  readonly line: readonly ClaimView[];
}

export interface ClaimView {
  readonly owner: string;
  readonly ticket: bigint;
  readonly weight: number;
  /** As stored: untrusted text. */
  readonly value: string;
  /** Of the value; 0 for the one that the claim was acquired with. */
  readonly sequence: number;
  /** Whether it can no longer be renewed. */
  readonly evicted: boolean;
  /** How long the claim lives on without renewal, by the store's clock, in milliseconds. */
  readonly remainingMs: number;
}
