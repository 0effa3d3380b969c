import { elapsedMs, type Clock, type Instant } from "@leasehold/core";
import type { Proof } from "../ownership/own-claim.ts";

/**
 * An etcd lease, on which any number of claims hang. A claim's deadline is that of its lease: what
 * counts is when the lease was last refreshed, never when the claim was written (a claim written to
 * a 3 s lease that was granted 2 s before lived for one second).
 */
export class SharedLease {
  /** As etcd writes it: decimal digits. */
  readonly id: string;
  /**
   * Whether this process was granted it. Another's lease is refreshed on demand, but never swept or
   * revoked.
   */
  readonly ours: boolean;
  readonly #clock: Clock;
  #ttlMs: number;
  #validFrom: Instant;
  #gone = false;

  constructor(id: string, ttlMs: number, validFrom: Instant, clock: Clock, ours: boolean) {
    this.id = id;
    this.ours = ours;
    this.#clock = clock;
    this.#ttlMs = ttlMs;
    this.#validFrom = validFrom;
  }

  get ttlMs(): number {
    return this.#ttlMs;
  }

  /** A moment before the last acknowledged grant or keepalive was sent (rule R4). */
  get validFrom(): Instant {
    return this.#validFrom;
  }

  /** What its last acknowledged grant or keepalive proves for the claims that were on it then. */
  get proof(): Proof {
    return { ttlMs: this.#ttlMs, validFrom: this.#validFrom };
  }

  /** The store has said that there is no such lease, and so none of its claims. Final. */
  get gone(): boolean {
    return this.#gone;
  }

  /** How long the lease surely lives on. */
  get remainingMs(): number {
    return this.#gone ? 0 : Math.max(0, this.#ttlMs - elapsedMs(this.#clock, this.#validFrom));
  }

  /** How long ago its last acknowledged life ran out; negative while it lasts. */
  get lapsedMs(): number {
    return elapsedMs(this.#clock, this.#validFrom) - this.#ttlMs;
  }

  /**
   * A keepalive that was sent at `sentAt` was acknowledged. An older one that is answered late
   * moves nothing back.
   */
  refreshed(sentAt: Instant, ttlMs: number): void {
    if (this.#gone || sentAt.monoMs <= this.#validFrom.monoMs) return;
    this.#validFrom = sentAt;
    this.#ttlMs = ttlMs;
  }

  ended(): void {
    this.#gone = true;
  }
}
