import type {
  AcquireRequest,
  ClaimView,
  HolderView,
  Look,
  LookOptions,
  ProposeRequest,
  RenewRequest,
  Snapshot,
} from "../contract/lease-store.ts";

/** A claim as the store keeps it. */
export interface StoredClaim {
  readonly owner: string;
  readonly ticket: bigint;
  readonly weight: number;
  value: string;
  /** Numbers the proposals of the value. */
  sequence: number;
  /** Whether it can no longer be renewed. */
  evicted: boolean;
  /** The process to which a later grant is pushed. */
  readonly inbox: string;
  expiresAtMs: number;
  granted: boolean;
}

/** Where a claim stands, or why it may not join. */
export type Standing =
  | { readonly kind: "claim"; readonly claim: StoredClaim; readonly aheadMs: number }
  | {
      readonly kind: "refused";
      readonly reason: "held" | "full" | "shape" | "departed";
      readonly capacity?: number;
    };

/** How many changes a line remembers, for those who look again. */
const longestLog = 64;

/**
 * One resource's line: the contract as code. Every step begins by dropping every dead claim,
 * wherever it stands (rule R6), and by granting from the front while the weights fit. `used` is a
 * running sum and `granted` a recorded flag. Neither is derived anew: a grant, once given, does not
 * depend on who else comes or goes.
 */
export class Line {
  /** In ticket order. The granted claims are always a prefix: nobody overtakes. */
  readonly #claims: StoredClaim[] = [];
  readonly #departed = new Map<string, number>();
  #capacity = 0;
  #used = 0;
  #granted: StoredClaim[] = [];
  /** The claims that changed since the last `takeChanged`, by owner. */
  readonly #changed = new Set<string>();
  /** What changed last, oldest first, each with the version that it made. */
  #log: { readonly version: string; readonly owner: string }[] = [];

  /** Whether nothing is left to remember: neither a claim nor a mark. */
  isEmpty(nowMs: number): boolean {
    for (const [owner, untilMs] of this.#departed) if (untilMs <= nowMs) this.#departed.delete(owner);
    return this.#claims.length === 0 && this.#departed.size === 0;
  }

  join(request: AcquireRequest, inbox: string, nowMs: number, draw: () => bigint): Standing {
    this.#reap(nowMs);
    this.#grant();
    if ((this.#departed.get(request.owner) ?? 0) > nowMs) return { kind: "refused", reason: "departed" };
    const mine = this.#find(request.owner);
    if (mine !== undefined) {
      if (!mine.evicted) mine.expiresAtMs = nowMs + request.ttlMs;
      return this.#standing(mine, nowMs);
    }
    if (this.#claims.length > 0 && this.#capacity !== request.resource.capacity)
      return { kind: "refused", reason: "shape", capacity: this.#capacity };

    const waiting = this.#claims.filter((claim) => !claim.granted).length;
    const fits = waiting === 0 && this.#used + request.weight <= request.resource.capacity;
    if (!fits && !request.queue) return { kind: "refused", reason: "held" };
    if (!fits && waiting >= request.maxWaiters) return { kind: "refused", reason: "full" };

    const claim: StoredClaim = {
      owner: request.owner,
      ticket: draw(),
      weight: request.weight,
      value: request.value,
      sequence: 0,
      evicted: false,
      inbox,
      expiresAtMs: nowMs + request.ttlMs,
      granted: fits,
    };
    this.#capacity = request.resource.capacity;
    if (fits) this.#used += request.weight;
    this.#claims.push(claim);
    this.#changed.add(claim.owner);
    return this.#standing(claim, nowMs);
  }

  renew(request: RenewRequest, nowMs: number): Standing | null {
    this.#reap(nowMs);
    this.#grant();
    const claim = this.#find(request.owner);
    if (claim === undefined || claim.ticket !== request.ticket) return null;
    if (!claim.evicted) claim.expiresAtMs = nowMs + request.ttlMs;
    return this.#standing(claim, nowMs);
  }

  propose({ owner, ticket, value, sequence }: ProposeRequest, nowMs: number): boolean {
    this.#reap(nowMs);
    this.#grant();
    const claim = this.#find(owner);
    if (claim === undefined || claim.ticket !== ticket || !claim.granted) return false;
    if (sequence > claim.sequence) {
      claim.value = value;
      claim.sequence = sequence;
      this.#changed.add(owner);
    }
    return true;
  }

  evict(owner: string, nowMs: number): boolean {
    this.#reap(nowMs);
    this.#grant();
    const claim = this.#find(owner);
    if (claim === undefined) return false;
    claim.evicted = true;
    this.#changed.add(owner);
    return true;
  }

  release(owner: string, departedForMs: number, nowMs: number): boolean {
    this.#reap(nowMs);
    if (departedForMs > 0) this.#departed.set(owner, nowMs + departedForMs);
    const claim = this.#find(owner);
    if (claim !== undefined) this.#remove(claim);
    this.#grant();
    return claim !== undefined;
  }

  view(nowMs: number): Snapshot {
    const live = this.#claims.filter((claim) => claim.expiresAtMs > nowMs);
    const show = (claim: StoredClaim): ClaimView => ({
      ...viewOf(claim),
      remainingMs: claim.expiresAtMs - nowMs,
    });
    return {
      holders: live.filter((claim) => claim.granted).map(show),
      line: live.filter((claim) => !claim.granted).map(show),
    };
  }

  look({ first = Infinity, known }: Omit<LookOptions, "timeoutMs">, nowMs: number): Look {
    const live = this.#claims.filter((claim) => claim.expiresAtMs > nowMs);
    const holders = live.filter((claim) => claim.granted);
    const endsInMs = Math.min(...live.map((claim) => claim.expiresAtMs - nowMs));
    const version = this.#log.at(-1)?.version;
    const mark = version === undefined ? { endsInMs } : { endsInMs, version };
    const at = first === Infinity ? this.#log.findLastIndex((entry) => entry.version === known) : -1;
    if (at < 0) return { ...mark, whole: true, holders: holders.slice(0, first).map(viewOf), gone: [] };
    const changed = new Set(this.#log.slice(at + 1).map(({ owner }) => owner));
    // The dead are among the changed when the next step drops them. They hold no more already.
    for (const { owner, expiresAtMs } of this.#claims) if (expiresAtMs <= nowMs) changed.add(owner);
    const holding = new Set(holders.map(({ owner }) => owner));
    return {
      ...mark,
      whole: false,
      holders: holders.filter(({ owner }) => changed.has(owner)).map(viewOf),
      gone: [...changed].filter((owner) => !holding.has(owner)),
    };
  }

  /** The claims to push: granted since the last call, without the one that `except` owns. */
  takeGrants(except?: string): StoredClaim[] {
    const grants = this.#granted.filter((claim) => claim.owner !== except);
    this.#granted = [];
    return grants;
  }

  /**
   * Whether anything that an observer could see has changed since the last call. Each such change
   * makes a version, which `drawVersion` must never have drawn before: a line may be dropped, and
   * begin anew, between two looks.
   */
  takeChanged(drawVersion: () => string): boolean {
    if (this.#changed.size === 0) return false;
    for (const owner of this.#changed) this.#log.push({ version: drawVersion(), owner });
    this.#log = this.#log.slice(-longestLog);
    this.#changed.clear();
    return true;
  }

  #find(owner: string): StoredClaim | undefined {
    return this.#claims.find((claim) => claim.owner === owner);
  }

  #reap(nowMs: number): void {
    for (const claim of this.#claims.filter(({ expiresAtMs }) => expiresAtMs <= nowMs)) this.#remove(claim);
  }

  #remove(claim: StoredClaim): void {
    this.#claims.splice(this.#claims.indexOf(claim), 1);
    if (claim.granted) this.#used -= claim.weight;
    this.#changed.add(claim.owner);
  }

  /** Grants from the front, while they fit. A claim that does not fit stops all behind it. */
  #grant(): void {
    for (const claim of this.#claims) {
      if (claim.granted) continue;
      if (this.#used + claim.weight > this.#capacity) return;
      claim.granted = true;
      this.#used += claim.weight;
      this.#granted.push(claim);
      this.#changed.add(claim.owner);
    }
  }

  #standing(claim: StoredClaim, nowMs: number): Standing {
    let aheadMs = 0;
    if (!claim.granted)
      for (const other of this.#claims) {
        if (other === claim) break;
        aheadMs = Math.max(aheadMs, other.expiresAtMs - nowMs);
      }
    return { kind: "claim", claim, aheadMs };
  }
}

function viewOf({ owner, ticket, weight, value, sequence, evicted }: StoredClaim): HolderView {
  return { owner, ticket, weight, value, sequence, evicted };
}
