/** A claim, as the model has it. */
export interface ModelClaim {
  readonly owner: string;
  readonly ticket: bigint;
  readonly weight: number;
  readonly ttlMs: number;
  expiresAtMs: number;
  value: string;
  sequence: number;
  evicted: boolean;
}

/**
 * What the store must answer to one who joins. `ticket`: of a live claim; null where a new, higher
 * one is drawn.
 */
export type Joining =
  | { readonly kind: "granted" | "queued"; readonly ticket: bigint | null }
  | { readonly kind: "refused"; readonly reason: "held" | "full" | "shape" };

/**
 * One line, as its users understand it: live claims in order of their tickets, of which the longest
 * prefix that fits in the capacity is granted. Nothing is recorded and nothing is cached, so it has
 * none of the ways in which a store may err.
 */
export class LineModel {
  readonly capacity: number;
  readonly maxWaiters: number;
  highestTicket = -1n;
  nowMs = 0;
  #claims: ModelClaim[] = [];

  constructor(capacity: number, maxWaiters: number) {
    this.capacity = capacity;
    this.maxWaiters = maxWaiters;
  }

  /** Oldest first. */
  get live(): readonly ModelClaim[] {
    return this.#claims.filter(({ expiresAtMs }) => expiresAtMs > this.nowMs);
  }

  get holders(): readonly ModelClaim[] {
    let used = 0;
    const { live } = this;
    const beyond = live.findIndex(({ weight }) => (used += weight) > this.capacity);
    return beyond === -1 ? live : live.slice(0, beyond);
  }

  get waiting(): readonly ModelClaim[] {
    return this.live.slice(this.holders.length);
  }

  find(owner: string): ModelClaim | undefined {
    return this.live.find((claim) => claim.owner === owner);
  }

  isGranted(claim: ModelClaim): boolean {
    return this.holders.includes(claim);
  }

  /** What joining would be answered, without joining. */
  joining(owner: string, weight: number, queue: boolean, capacity: number = this.capacity): Joining {
    const mine = this.find(owner);
    if (mine !== undefined) return { kind: this.isGranted(mine) ? "granted" : "queued", ticket: mine.ticket };
    if (this.live.length > 0 && capacity !== this.capacity) return { kind: "refused", reason: "shape" };
    const used = this.live.reduce((sum, claim) => sum + claim.weight, 0);
    if (used + weight <= capacity) return { kind: "granted", ticket: null };
    if (!queue) return { kind: "refused", reason: "held" };
    if (this.waiting.length >= this.maxWaiters) return { kind: "refused", reason: "full" };
    return { kind: "queued", ticket: null };
  }

  join(claim: Pick<ModelClaim, "owner" | "ticket" | "weight" | "ttlMs" | "value">): ModelClaim {
    this.remove(claim.owner);
    const joined = { ...claim, sequence: 0, evicted: false, expiresAtMs: this.nowMs + claim.ttlMs };
    this.#claims.push(joined);
    this.highestTicket = claim.ticket;
    return joined;
  }

  refresh(claim: ModelClaim): void {
    if (!claim.evicted) claim.expiresAtMs = this.nowMs + claim.ttlMs;
  }

  remove(owner: string): void {
    this.#claims = this.#claims.filter((claim) => claim.owner !== owner);
  }
}
