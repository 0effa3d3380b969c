import { elapsedAtMs, nothingProved, type Clock, type Instant } from "../base/clock.ts";

/** What an acknowledgement of the store proves: life until `validFrom` + `ttlMs`, by its clock. */
export interface Proof {
  /** A moment before the request that was acknowledged was first written (rule R4). */
  readonly validFrom: Instant;
  /** What the store granted, in milliseconds. */
  readonly ttlMs: number;
}

/**
 * What is taken off every ttl before it is believed. 2 % is for clocks that run at different
 * rates: crystals differ by less than 0.02 %, the rest is for clocks that NTP slews. 10 ms is for
 * the lateness of the timer that raises the alarm.
 */
export function driftMarginMs(ttlMs: number): number {
  return 10 + ttlMs * 0.02;
}

/** Renewal is due a third of the ttl after it was proved: two periods may fail before the end. */
export function renewalPeriodMs(ttlMs: number): number {
  return ttlMs / 3;
}

/** The pause after an unanswered renewal: three tries end before the deadline, at 4, 7, 10/12. */
export function renewalRetryMs(ttlMs: number): number {
  return ttlMs / 12;
}

/** How long a renewal may go unanswered before it is asked again. */
export function renewalTimeoutMs(ttlMs: number): number {
  return Math.min(5_000, Math.max(100, ttlMs / 6));
}

/** The shortest time between two questions: one on a shared lease may be born old, due at once. */
export const shortestQuestionMs = 15;

/**
 * How long a promise of the store may be relied on, by the local clocks. This is the only place
 * where a deadline is computed: of claims, of executions, and of the leases that they share.
 *
 * A belief is looked at, never stored: each question reads the clocks. Only a proof extends it,
 * and nothing moves it back: an older proof that arrives late is ignored (rule R4).
 */
export class Belief {
  readonly #clock: Clock;
  #proof: Proof;

  /** Believes nothing until it is given a proof. */
  constructor(clock: Clock, proof: Proof = { validFrom: nothingProved, ttlMs: 0 }) {
    this.#clock = clock;
    this.#proof = proof;
  }

  /** The proof that reaches furthest. */
  get proof(): Proof {
    return this.#proof;
  }

  /** Milliseconds until belief ends, which is a margin before the ttl does. 0 or less: it has. */
  get remainingMs(): number {
    return this.remainingAtMs(this.#clock.now());
  }

  /** The same, as seen at that moment: for one look at many. */
  remainingAtMs(now: Instant): number {
    return this.#leftOf(this.#proof, now) - driftMarginMs(this.#proof.ttlMs);
  }

  /** Milliseconds until the ttl ends, without the margin: the store may let go then. */
  get storedMs(): number {
    return this.#leftOf(this.#proof, this.#clock.now());
  }

  /** When to renew, on the monotonic clock, in milliseconds; not at once, however old the proof. */
  get dueMs(): number {
    const { validFrom, ttlMs } = this.#proof;
    return Math.max(
      validFrom.monoMs + renewalPeriodMs(ttlMs),
      this.#clock.now().monoMs + Math.min(renewalRetryMs(ttlMs), shortestQuestionMs),
    );
  }

  /** Takes a proof if it reaches further than the one before. Answers whether it does. */
  extend(proof: Proof): boolean {
    const now = this.#clock.now();
    if (this.#leftOf(proof, now) <= this.#leftOf(this.#proof, now)) return false;
    this.#proof = proof;
    return true;
  }

  /** What was proved spoke of something that is gone, such as a claim with an earlier ticket. */
  forget(): void {
    this.#proof = { validFrom: nothingProved, ttlMs: 0 };
  }

  #leftOf({ validFrom, ttlMs }: Proof, now: Instant): number {
    return ttlMs - elapsedAtMs(now, validFrom);
  }
}
