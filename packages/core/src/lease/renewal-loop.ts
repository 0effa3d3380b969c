import type { Clock, Timer } from "../base/clock.ts";
import type { LeaseStore, RenewAnswer } from "../contract/lease-store.ts";
import { renewalRetryMs, renewalTimeoutMs, shortestQuestionMs } from "./belief.ts";
import type { Claim } from "./claim.ts";

export interface RenewalObserver {
  /** A held claim was renewed. */
  renewed(claim: Claim): void;
  /** A held claim's renewal was not answered; its deadline is still ahead. Once per outage. */
  unconfirmed(claim: Claim, error: Error): void;
}

/** A claim due within this joins a batch that leaves now. So claims of a process drift together. */
const batchWindowMs = (ttlMs: number): number => ttlMs / 6;

interface Entry {
  dueMs: number;
  asking: boolean;
  /** A reason to ask came while a question was on its way. The answer to that may be older. */
  askAgain: boolean;
  unconfirmed: boolean;
}

/** One claim of a batch, and the ticket that the question names. */
interface Question {
  readonly claim: Claim;
  readonly entry: Entry;
  readonly ticket: bigint;
}

/**
 * Keeps every claim of a process alive, waiting and held alike, and raises the alarm at each
 * deadline. There is one timer, and one action. For a waiting claim the same question also finds a
 * grant whose push was lost, and takes over from claims that died ahead: it is asked when the last
 * of them may have expired.
 */
export class RenewalLoop {
  readonly #store: LeaseStore;
  readonly #clock: Clock;
  readonly #observer: RenewalObserver;
  readonly #entries = new Map<Claim, Entry>();
  #timer: Timer | null = null;
  #timerAtMs = Infinity;

  constructor(store: LeaseStore, clock: Clock, observer: RenewalObserver) {
    this.#store = store;
    this.#clock = clock;
    this.#observer = observer;
  }

  /** Looks after a claim from its first acknowledgement on. Call it again after each later one. */
  add(claim: Claim): void {
    const entry = this.#entries.get(claim) ?? {
      dueMs: 0,
      asking: false,
      askAgain: false,
      unconfirmed: false,
    };
    this.#entries.set(claim, entry);
    entry.dueMs = this.#nextDueMs(claim);
    this.#wakeAt(Math.min(entry.dueMs, this.#alarmMs(claim)));
  }

  delete(claim: Claim): void {
    this.#entries.delete(claim);
  }

  /** Asks about one claim as soon as possible, as when a grant came too late to be believed. */
  askNow(claim: Claim): void {
    const entry = this.#entries.get(claim);
    if (entry === undefined) return this.add(claim);
    if (entry.asking) entry.askAgain = true;
    entry.dueMs = this.#nowMs();
    this.#wakeAt(entry.dueMs);
  }

  /** Asks about every waiting claim at once: pushes may have been missed. */
  askWaiting(): void {
    for (const claim of this.#entries.keys()) if (claim.phase === "waiting") this.askNow(claim);
  }

  stop(): void {
    this.#entries.clear();
    this.#timer?.cancel();
    this.#timer = null;
    this.#timerAtMs = Infinity;
  }

  #nowMs(): number {
    return this.#clock.now().monoMs;
  }

  /** A waiter also asks just after those ahead of it may be dead, when the store knows it, too. */
  #nextDueMs(claim: Claim): number {
    if (claim.phase !== "waiting") return claim.dueMs;
    return Math.min(claim.dueMs, this.#nowMs() + claim.aheadMs + shortestQuestionMs);
  }

  /** When a held claim must be looked at whatever happens. */
  #alarmMs(claim: Claim): number {
    return claim.phase === "held" ? this.#nowMs() + Math.max(0, claim.remainingMs()) : Infinity;
  }

  #wakeAt(atMs: number): void {
    if (atMs >= this.#timerAtMs || this.#entries.size === 0) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = this.#clock.schedule(Math.max(0, atMs - this.#nowMs()), () => {
      this.#timer = null;
      this.#timerAtMs = Infinity;
      this.#tick();
    });
  }

  #tick(): void {
    const nowMs = this.#nowMs();
    const batch: Question[] = [];
    let earliestDueMs = Infinity;
    for (const [claim, entry] of this.#entries) {
      if (claim.phase === "held") claim.isHeld();
      if (claim.phase === "over") this.#entries.delete(claim);
      else if (!entry.asking) {
        earliestDueMs = Math.min(earliestDueMs, entry.dueMs);
        const { ticket } = claim;
        if (ticket !== null && entry.dueMs <= nowMs + batchWindowMs(claim.ttlMs))
          batch.push({ claim, entry, ticket });
      }
    }
    // The window only widens a batch that is due anyway. An alarm by itself sends nothing.
    if (earliestDueMs <= nowMs) void this.#ask(batch);
    let nextMs = Infinity;
    for (const [claim, entry] of this.#entries)
      nextMs = Math.min(nextMs, this.#alarmMs(claim), entry.asking ? Infinity : entry.dueMs);
    // Node's timers may fire a fraction of a millisecond early. Without the floor that would spin.
    if (nextMs < Infinity) this.#wakeAt(Math.max(nextMs, this.#nowMs() + 1));
  }

  async #ask(batch: readonly Question[]): Promise<void> {
    if (batch.length === 0) return;
    for (const { entry } of batch) entry.asking = true;
    const timeoutMs = Math.min(...batch.map(({ claim }) => renewalTimeoutMs(claim.ttlMs)));
    const requests = batch.map(({ claim: { resource, owner, ttlMs }, ticket }) => {
      return { resource, owner, ttlMs, ticket };
    });
    const silence: RenewAnswer = { kind: "unanswered", error: new Error("The backend gave no answer.") };
    const answers = await this.#store
      .renew(requests, { timeoutMs })
      .catch((error: Error) => batch.map((): RenewAnswer => ({ kind: "unanswered", error })));
    batch.forEach(({ claim, ticket }, index) => this.#answered(claim, ticket, answers[index] ?? silence));
  }

  #answered(claim: Claim, ticket: bigint, answer: RenewAnswer): void {
    const entry = this.#entries.get(claim);
    if (entry === undefined) return;
    entry.asking = false;
    const wasHeld = claim.phase === "held";
    claim.renewed(ticket, answer);
    if (claim.phase === "over") return this.delete(claim);
    if (answer.kind === "unanswered") {
      entry.dueMs = this.#nowMs() + renewalRetryMs(claim.ttlMs);
      this.#wakeAt(entry.dueMs);
      if (!entry.unconfirmed && claim.isHeld()) {
        entry.unconfirmed = true;
        this.#observer.unconfirmed(claim, answer.error);
      }
      return;
    }
    entry.unconfirmed = false;
    this.add(claim);
    if (entry.askAgain && claim.phase === "waiting") this.askNow(claim);
    entry.askAgain = false;
    if (wasHeld) this.#observer.renewed(claim);
  }
}
