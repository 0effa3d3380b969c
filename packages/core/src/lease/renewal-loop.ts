import type { Timer } from "../base/clock.ts";
import type { RenewAnswer } from "../contract/lease-store.ts";
import type { Context } from "../context.ts";
import { renewalRetryMs, renewalTimeoutMs, shortestQuestionMs } from "./belief.ts";
import type { Claim } from "./claim.ts";
import { DueClaims, type Entry, type Question } from "./due-claims.ts";

export interface RenewalObserver {
  /** A held claim was renewed. */
  renewed(claim: Claim): void;
  /** A held claim's renewal was not answered; its deadline is still ahead. Once per outage. */
  unconfirmed(claim: Claim, error: Error): void;
}

/**
 * Keeps every claim of a process alive, waiting and held alike, and raises the alarm at each
 * deadline. There is one timer, and one action. For a waiting claim the same question also finds a
 * grant whose push was lost, and takes over from claims that died ahead: it is asked when the last
 * of them may have expired.
 *
 * Nothing stands between a deadline and its signal: a tick first ends every belief that is over,
 * then asks, and tells what there is to tell only after that. While listeners take their time, the
 * deadlines are looked at between two events.
 */
export class RenewalLoop {
  readonly #context: Context;
  readonly #observer: RenewalObserver;
  readonly #entries = new Map<Claim, Entry>();
  #timer: Timer | null = null;
  #timerAtMs = Infinity;
  /** No deadline is before this, on the monotonic clock. */
  #alarmAtMs = Infinity;
  /** Between two events, deadlines are looked at for a fifth of the time at most. */
  #notAgainBeforeMs = -Infinity;

  constructor(context: Context, observer: RenewalObserver) {
    this.#context = context;
    this.#observer = observer;
    context.announcer.onEach(() => {
      if (this.#nowMs() >= Math.max(this.#alarmAtMs, this.#notAgainBeforeMs)) this.#endBeliefs();
    });
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
    const alarmMs = this.#alarmMs(claim);
    this.#alarmAtMs = Math.min(this.#alarmAtMs, alarmMs);
    this.#wakeAt(Math.min(entry.dueMs, alarmMs));
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
    return this.#context.clock.now().monoMs;
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
    const { clock, scope } = this.#context;
    const wake = (): void => {
      this.#timer = null;
      this.#timerAtMs = Infinity;
      this.#context.announcer.before(() => this.#tick());
    };
    // Whoever adds a claim sets the timer of all: it is to run in nobody's context.
    this.#timer = scope(() => clock.schedule(Math.max(0, atMs - this.#nowMs()), wake));
  }

  #tick(): void {
    this.#endBeliefs();
    const due = new DueClaims(this.#nowMs());
    for (const [claim, entry] of this.#entries)
      if (claim.phase === "over") this.#entries.delete(claim);
      else due.add(claim, entry);
    for (const batch of due.batches()) void this.#ask(batch);
    let nextMs = this.#alarmAtMs;
    for (const entry of this.#entries.values()) if (!entry.asking) nextMs = Math.min(nextMs, entry.dueMs);
    // Node's timers may fire a fraction of a millisecond early. Without the floor that would spin.
    if (nextMs < Infinity) this.#wakeAt(Math.max(nextMs, this.#nowMs() + 1));
  }

  /**
   * Ends every belief whose deadline has passed, the earliest first: each look aborts the signal of
   * its lease. Those who listen to it may take their time, and more deadlines pass meanwhile.
   */
  #endBeliefs(): void {
    this.#context.announcer.before(() => {
      for (;;) {
        const now = this.#context.clock.now();
        const passed: { readonly claim: Claim; readonly remainingMs: number }[] = [];
        this.#alarmAtMs = Infinity;
        for (const claim of this.#entries.keys()) {
          if (claim.phase !== "held") continue;
          const remainingMs = claim.remainingMs(now);
          if (remainingMs <= 0) passed.push({ claim, remainingMs });
          else this.#alarmAtMs = Math.min(this.#alarmAtMs, now.monoMs + remainingMs);
        }
        const endedMs = this.#nowMs();
        this.#notAgainBeforeMs = endedMs + 4 * (endedMs - now.monoMs);
        if (passed.length === 0) return;
        passed.sort((a, b) => a.remainingMs - b.remainingMs);
        for (const { claim } of passed) claim.isHeld();
      }
    });
  }

  async #ask(batch: readonly Question[]): Promise<void> {
    let timeoutMs = Infinity;
    for (const { claim, entry } of batch) {
      entry.asking = true;
      timeoutMs = Math.min(timeoutMs, renewalTimeoutMs(claim.ttlMs));
    }
    const requests = batch.map(({ claim: { resource, owner, ttlMs }, ticket }) => {
      return { resource, owner, ttlMs, ticket };
    });
    const silence: RenewAnswer = { kind: "unanswered", error: new Error("The backend gave no answer.") };
    const answers = await this.#context.backend.leases
      .renew(requests, { timeoutMs })
      .catch((error: Error) => batch.map((): RenewAnswer => ({ kind: "unanswered", error })));
    this.#context.announcer.before(() => {
      this.#endBeliefs();
      batch.forEach(({ claim, ticket }, index) => this.#answered(claim, ticket, answers[index] ?? silence));
    });
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
