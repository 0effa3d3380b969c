import { Belief, type Clock, type Proof } from "@leasehold/core";

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
  readonly #belief: Belief;
  #gone = false;

  /**
   * Without a proof nothing is believed: it is another's, or nothing of it was acknowledged yet.
   */
  constructor(id: string, clock: Clock, proof?: Proof, ours: boolean = false) {
    this.id = id;
    this.ours = ours;
    this.#belief = new Belief(clock, proof);
  }

  get ttlMs(): number {
    return this.proof.ttlMs;
  }

  /** What its last acknowledged grant or keepalive proves for the claims that were on it then. */
  get proof(): Proof {
    return this.#belief.proof;
  }

  /** The store has said that there is no such lease, and so none of its claims. Final. */
  get gone(): boolean {
    return this.#gone;
  }

  /** How long the lease surely lives on in the store: no margin is taken off. */
  get remainingMs(): number {
    return this.#gone ? 0 : Math.max(0, this.#belief.storedMs);
  }

  /** How long ago its last acknowledged life ran out; negative while it lasts. */
  get lapsedMs(): number {
    return -this.#belief.storedMs;
  }

  /** A keepalive was acknowledged. An older one that is answered late moves nothing back. */
  refreshed(proof: Proof): void {
    if (!this.#gone) this.#belief.extend(proof);
  }

  ended(): void {
    this.#gone = true;
  }
}
