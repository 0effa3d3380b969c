import type { Clock, Instant } from "../base/clock.ts";
import type {
  AcquireRequest,
  ClaimRef,
  Granted,
  Queued,
  RenewAnswer,
  ShapedResource,
} from "../contract/lease-store.ts";
import type { LossReason } from "../errors.ts";
import { Belief } from "./belief.ts";

/**
 * What this process may believe about one claim. No I/O happens here: answers and pushes go in,
 * belief comes out, so that every interleaving can be argued, and tested, in one place. The rules
 * that the comments cite, R1 to R7, are in docs/rules.md.
 *
 *     joining --> waiting --> held --> over
 *        \___________\__________________/
 *
 * `over` is final (rule R5): no late reply and no push revives a claim that was lost, released or
 * given up.
 */
export type Phase = "joining" | "waiting" | "held" | "over";

/** The acquire call, which is told until the claim is granted. Called synchronously. */
export interface WaiterObserver {
  /** The claim is granted, and its deadline is ahead. Hand it to its holder, first of all. */
  granted(): void;
  /** The claim died in the store: it will never be granted. At most once. */
  died(reason: LossReason): void;
  /** The store says granted, but our deadline has passed: only a renewal can tell. */
  ask(): void;
}

/** The lease that came of a claim. Called synchronously. */
export interface HolderObserver {
  /** The claim can no longer be believed. At most once. */
  lost(reason: LossReason): void;
}

export class Claim implements ClaimRef {
  readonly resource: ShapedResource;
  readonly owner: string;
  readonly ttlMs: number;
  /** An acquire of this owner was unanswered or resent: a copy may still arrive (rule R7). */
  unclean = false;
  /** What the last renewal failed with; undefined if it was answered. */
  renewalFailure: Error | undefined;
  /** An acquire of this owner is on its way: nothing is known of what it does. */
  inFlight = false;
  /** How long those ahead may live on without renewing, at most, as of the last acknowledgement. */
  aheadMs = 0;

  readonly #clock: Clock;
  readonly #waiter: WaiterObserver;
  readonly #belief: Belief;
  #holder: HolderObserver | null = null;
  #phase: Phase = "joining";
  #ticket: bigint | null = null;
  #pushedTicket: bigint | null = null;
  #firstSentAt: Instant | null = null;
  #heardOf = false;

  constructor(
    { resource, owner, ttlMs }: Pick<AcquireRequest, "resource" | "owner" | "ttlMs">,
    clock: Clock,
    waiter: WaiterObserver,
  ) {
    this.resource = resource;
    this.owner = owner;
    this.ttlMs = ttlMs;
    this.#clock = clock;
    this.#waiter = waiter;
    this.#belief = new Belief(clock);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The ticket, once the store has answered; the fencing token of the lease. */
  get ticket(): bigint | null {
    return this.#ticket;
  }

  /**
   * Whether there is reason to think that the store has, or had, this claim: it said so, or a
   * request went unanswered that may have been written.
   */
  get mayHaveJoined(): boolean {
    return this.#heardOf || this.unclean;
  }

  /** When it is to be renewed, on the monotonic clock, in milliseconds. */
  get dueMs(): number {
    return this.#belief.dueMs;
  }

  /**
   * Milliseconds until the local deadline, by the clocks at this look, or as seen at `now`; not
   * above 0: it is over.
   */
  remainingMs(now?: Instant): number {
    if (this.#phase === "over") return 0;
    return now === undefined ? this.#belief.remainingMs : this.#belief.remainingAtMs(now);
  }

  /**
   * Whether the claim may be believed at this look. The look itself ends a belief whose deadline
   * has passed: after a blocked event loop the first question gets the right answer, in the same
   * tick, before any timer has had its turn.
   */
  isHeld(): boolean {
    if (this.#phase !== "held") return false;
    if (this.remainingMs() > 0) return true;
    this.#lose("expired");
    return false;
  }

  /** An acquire request is about to leave. */
  sending(): void {
    this.#firstSentAt ??= this.#clock.now();
    this.inFlight = true;
  }

  /** An acquire request got no answer that says what it did. */
  unanswered(): void {
    this.inFlight = false;
    this.unclean = true;
  }

  /** An acquire request was answered. */
  answered(reply: Granted | Queued): void {
    this.inFlight = false;
    this.#heardOf = true;
    if (reply.resent === true) this.unclean = true;
    if (this.#phase === "over") return;
    if (this.#phase === "held") {
      if (!this.isHeld()) return;
      // A push beat this reply. The same ticket confirms it. A higher one says that the claim we
      // believed in died and that this very call joined again behind others: the belief ends here.
      if (reply.ticket === this.#ticket) this.#belief.extend(reply);
      else if (this.#ticket === null || reply.ticket > this.#ticket) this.#lose("gone");
      return;
    }
    // Of several replies the highest ticket wins: a lower one is of a claim that has died (R2).
    if (this.#ticket !== null && reply.ticket < this.#ticket) return;
    if (reply.ticket !== this.#ticket) this.#belief.forget();
    this.#ticket = reply.ticket;
    this.#phase = "waiting";
    this.#belief.extend(reply);
    this.aheadMs = reply.kind === "queued" ? reply.aheadMs : 0;
    if (reply.kind === "granted" || this.#pushedTicket === reply.ticket) this.#believe();
  }

  /** The store pushed a grant of `ticket`. Answers whether this claim may still use it. */
  pushed(ticket: bigint): boolean {
    if (this.#phase === "over") return false;
    this.#heardOf = true;
    if (this.#phase === "held") return true;
    if (this.#pushedTicket === null || ticket > this.#pushedTicket) this.#pushedTicket = ticket;
    if (this.#phase === "joining" && this.#ticket === null && this.#firstSentAt !== null) {
      // The push overtook the reply. Nothing was acknowledged yet, so it counts from the first send
      // of this call (R4): no claim of this owner can have begun its ttl before that.
      this.#ticket = ticket;
      this.#belief.extend({ validFrom: this.#firstSentAt, ttlMs: this.ttlMs });
      this.#phase = "waiting";
    }
    // A higher ticket belongs to a retry whose reply is on its way, and is kept for that reply. A
    // lower one is dead.
    if (ticket === this.#ticket) this.#believe();
    return true;
  }

  /** A renewal that carried `ticket` was answered. */
  renewed(ticket: bigint, answer: RenewAnswer): void {
    if (this.#phase === "over" || ticket !== this.#ticket) return;
    this.renewalFailure = answer.kind === "unanswered" ? answer.error : undefined;
    if (answer.kind === "unanswered") return;
    const wasHeld = this.#phase === "held";
    // The deadline may have passed while the event loop was blocked and this answer lay in the
    // socket. Lost is lost.
    if (wasHeld && !this.isHeld()) return;
    if (answer.kind === "gone" || answer.kind === "evicted") {
      if (wasHeld) return this.#lose(answer.kind);
      this.#phase = "over";
      return this.#waiter.died(answer.kind);
    }
    this.#belief.extend(answer);
    this.aheadMs = answer.aheadMs;
    if (!wasHeld && (answer.granted || this.#pushedTicket === ticket)) this.#believe();
  }

  /** From now on `holder` hears of a loss, in place of the acquire call. */
  handTo(holder: HolderObserver): void {
    this.#holder = holder;
  }

  /** Somebody with a higher ticket was seen to hold what only one can hold. */
  superseded(): void {
    if (this.#phase === "held") this.#lose("superseded");
  }

  /** Ends the claim without a loss: released, aborted, timed out, closed. Belief ends here. */
  end(): void {
    this.#phase = "over";
  }

  /** Granted by the store; believed only if the deadline is ahead at this look (rule R4). */
  #believe(): void {
    if (this.remainingMs() <= 0) return this.#waiter.ask();
    this.#phase = "held";
    this.#waiter.granted();
  }

  #lose(reason: LossReason): void {
    this.#phase = "over";
    this.#holder?.lost(reason);
  }
}
