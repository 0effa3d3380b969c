import type {
  Acknowledged,
  AcquireRequest,
  ClaimRef,
  Granted,
  Queued,
  RenewAnswer,
} from "../contract/backend.ts";
import { elapsedMs, type Clock, type Instant } from "../base/clock.ts";
import type { LossReason } from "../errors.ts";

/**
 * What this process may believe about one claim. No I/O happens here: answers and pushes go in, belief comes out, so that
 * every interleaving can be argued, and tested, in one place.
 *
 *     joining --> waiting --> held --> over
 *        \___________\__________________/
 *
 * `over` is final (rule R5): no late reply and no push revives a claim that was lost, released or given up.
 */
export type Phase = "joining" | "waiting" | "held" | "over";

/** What a claim tells whoever owns it. Called synchronously, at most once each except `ask`. */
export interface ClaimObserver {
  /** The claim is granted, and its deadline is ahead: it may be believed. */
  granted(): void;
  /** A waiting claim died in the store: it will never be granted. */
  died(reason: LossReason): void;
  /** A held claim can no longer be believed. */
  lost(reason: LossReason): void;
  /** The store says granted, but our deadline has passed: only a renewal can tell. */
  ask(): void;
}

/**
 * What is taken off every ttl before it is believed: 2 % for clocks that run at different rates (crystals differ by less
 * than 0.02 %; the rest is for clocks that NTP slews), and 10 ms for the lateness of the timer that raises the alarm.
 */
export function driftMarginMs(ttlMs: number): number {
  return 10 + ttlMs * 0.02;
}

export class Claim implements ClaimRef {
  readonly resource: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly capacity: number;
  /** Whether its changes are announced to observers. */
  readonly announce: boolean;
  /** An acquire of this owner went unanswered or was resent: a copy of it may arrive at any later time (rule R7). */
  unclean = false;
  /** An acquire of this owner is on its way. */
  inFlight = false;
  /** Upper bound of how long those ahead may live on without renewing, as of the last acknowledgement. */
  aheadMs = 0;

  /** Who is told: the acquire call first, then the lease that came of it. */
  observer: ClaimObserver;

  readonly #clock: Clock;
  #phase: Phase = "joining";
  #ticket: bigint | null = null;
  #pushedTicket: bigint | null = null;
  #firstSentAt: Instant | null = null;
  #acknowledged: { validFrom: Instant; ttlMs: number } | null = null;

  constructor(
    ref: ClaimRef,
    {
      ttlMs,
      capacity,
      announce,
    }: Pick<AcquireRequest, "ttlMs" | "capacity"> & { readonly announce: boolean },
    clock: Clock,
    observer: ClaimObserver,
  ) {
    this.resource = ref.resource;
    this.owner = ref.owner;
    this.ttlMs = ttlMs;
    this.capacity = capacity;
    this.announce = announce;
    this.#clock = clock;
    this.observer = observer;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** The ticket, once the store has answered; the fencing token of the lease. */
  get ticket(): bigint | null {
    return this.#ticket;
  }

  /** From when the last acknowledgement counts. */
  get validFrom(): Instant | null {
    return this.#acknowledged?.validFrom ?? null;
  }

  /** Milliseconds until the local deadline; 0 or less when it has passed. Computed from the clocks at every call. */
  remainingMs(): number {
    if (this.#acknowledged === null || this.#phase === "over") return 0;
    const { validFrom, ttlMs } = this.#acknowledged;
    return ttlMs - driftMarginMs(ttlMs) - elapsedMs(this.#clock, validFrom);
  }

  /**
   * Whether the claim may be believed at this look. The look itself ends a belief whose deadline has passed: after a blocked
   * event loop the first question gets the right answer, in the same tick, before any timer has had its turn.
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
    if (reply.resent === true) this.unclean = true;
    if (this.#phase === "over") return;
    if (this.#phase === "held") {
      if (!this.isHeld()) return;
      // A push beat this reply. The same ticket confirms it; a higher one says that the claim we believed in died and that
      // this very call joined again behind others, so the belief ends here.
      if (reply.ticket === this.#ticket) this.#extend(reply);
      else if (this.#ticket === null || reply.ticket > this.#ticket) this.#lose("gone");
      return;
    }
    // Of several acquire replies the highest ticket wins; a lower one speaks of a claim that has died since (rule R2).
    if (this.#ticket !== null && reply.ticket < this.#ticket) return;
    if (reply.ticket !== this.#ticket) this.#acknowledged = null;
    this.#ticket = reply.ticket;
    this.#phase = "waiting";
    this.#extend(reply);
    this.aheadMs = reply.kind === "queued" ? reply.aheadMs : 0;
    if (reply.kind === "granted" || this.#pushedTicket === reply.ticket) this.#believe();
  }

  /** The store pushed a grant of `ticket`. Answers whether this claim may still use it. */
  pushed(ticket: bigint): boolean {
    if (this.#phase === "over") return false;
    if (this.#phase === "held") return true;
    if (this.#pushedTicket === null || ticket > this.#pushedTicket) this.#pushedTicket = ticket;
    if (this.#phase === "joining" && this.#ticket === null && this.#firstSentAt !== null) {
      // The push overtook the reply. Nothing was acknowledged yet, so it counts from the first send of this call (rule R4):
      // the store cannot have started the ttl of any claim of this owner before that.
      this.#ticket = ticket;
      this.#acknowledged = { validFrom: this.#firstSentAt, ttlMs: this.ttlMs };
      this.#phase = "waiting";
    }
    // A higher ticket belongs to a retry whose reply is still on its way; it is kept for that reply. A lower one is dead.
    if (ticket === this.#ticket) this.#believe();
    return true;
  }

  /** A renewal that carried `ticket` was answered. */
  renewed(ticket: bigint, answer: RenewAnswer): void {
    if (this.#phase === "over" || ticket !== this.#ticket || answer.kind === "unanswered") return;
    const wasHeld = this.#phase === "held";
    // The deadline may have passed while the event loop was blocked and this answer lay in the socket. Lost is lost.
    if (wasHeld && !this.isHeld()) return;
    if (answer.kind === "gone" || answer.kind === "evicted") {
      if (wasHeld) return this.#lose(answer.kind);
      this.#phase = "over";
      return this.observer.died(answer.kind);
    }
    this.#extend(answer);
    this.aheadMs = answer.aheadMs;
    if (!wasHeld && (answer.granted || this.#pushedTicket === ticket)) this.#believe();
  }

  /** Somebody was seen to be granted what only one can be granted, with a higher ticket than ours. */
  superseded(): void {
    if (this.#phase === "held") this.#lose("superseded");
  }

  /** Ends the claim without a loss: released, aborted, timed out, closed. Belief ends now, not when the store answers. */
  end(): void {
    this.#phase = "over";
  }

  /** Granted by the store; believed only if the deadline is ahead at this look (rule R4). */
  #believe(): void {
    if (this.remainingMs() <= 0) return this.observer.ask();
    this.#phase = "held";
    this.observer.granted();
  }

  /** Deadlines never move back: an older acknowledgement that arrives late is ignored. */
  #extend({ validFrom, ttlMs }: Acknowledged): void {
    const before = this.#acknowledged;
    this.#acknowledged = { validFrom, ttlMs };
    if (before === null) return;
    const later = this.remainingMs();
    this.#acknowledged = before;
    if (later > this.remainingMs()) this.#acknowledged = { validFrom, ttlMs };
  }

  #lose(reason: LossReason): void {
    this.#phase = "over";
    this.observer.lost(reason);
  }
}
