import { elapsedMs, type Clock, type Instant } from "@leasehold/core";
import type { SharedLease } from "../leases/shared-lease.ts";

/** What an owner has, or is about to have, under a key that is on a lease of this process. */
export interface Owned {
  /** How many of its requests are under way. */
  pending: number;
  /** A request of it was not answered: it may be carried out at any later time. */
  doubtful: boolean;
}

/**
 * Who in this process owns what: claims are one kind of it, executions another. A key on one of our
 * leases that belongs to nobody in here is litter: its end was asked for, so nobody waits on it and
 * nobody believes in it.
 *
 * `Ref` names one owner of one resource, or of one record.
 */
export abstract class Owners<Ref, T extends Owned & Ref> {
  protected readonly clock: Clock;
  readonly #byId = new Map<string, T>();
  readonly #byKey = new Map<string, Set<T>>();
  /** Owners that took back what they may have, and until when a copy of a request may arrive. */
  readonly #departed = new Map<string, number>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  protected abstract idOf(ref: Ref): string;
  protected abstract keyOf(owned: T): Buffer;
  /** Whether the store has acknowledged something of it that has not ended. */
  protected abstract isKnown(owned: T): boolean;
  /**
   * When it was last asked for, and for how long that is good; undefined: for now it cannot lapse.
   */
  protected abstract askedFor(owned: T): { readonly at: Instant; readonly forMs: number } | undefined;
  protected abstract leaseOf(owned: T): SharedLease | undefined;
  /** It is dropped: nothing of it is in the store, for certain, or nobody wants what is. */
  protected dropped(_owned: T): void {}

  /**
   * A request begins. From before it leaves, a sweep must not touch what it may write. `leave` must
   * follow.
   */
  protected begin(ref: Ref, make: () => T): T {
    const owned = this.find(ref) ?? this.#add(make());
    owned.pending += 1;
    return owned;
  }

  /** A request has ended. If nothing is left of it in the store, for certain, it is dropped. */
  leave(owned: T): void {
    owned.pending -= 1;
    this.dropIfEmpty(owned);
  }

  find(ref: Ref): T | undefined {
    return this.#byId.get(this.idOf(ref));
  }

  /** Whether it was neither ended nor taken back nor dropped. */
  has(owned: T): boolean {
    return this.find(owned) === owned;
  }

  /**
   * Whose key this is (as latin1 text), or is about to be, or was until its deletion is answered.
   */
  at(key: string): readonly T[] {
    return [...(this.#byKey.get(key) ?? [])];
  }

  /** Whether somebody in here may have the key, and still asks for what it stands for. */
  isWanted(key: string): boolean {
    return this.at(key).some((owned) => !this.hasLapsed(owned));
  }

  /**
   * Nobody has asked for it for too long: it is dead, though others keep its lease alive (rule R6).
   * Whoever stopped asking has stopped believing in it, or has been told to.
   */
  hasLapsed(owned: T): boolean {
    const asked = this.askedFor(owned);
    return asked !== undefined && elapsedMs(this.clock, asked.at) > asked.forMs;
  }

  /** When it lapses unless it is asked for again, on the monotonic clock. */
  lapsesAtMs(owned: T): number {
    const asked = this.askedFor(owned);
    return asked === undefined ? Infinity : asked.at.monoMs + asked.forMs + 1;
  }

  get all(): readonly T[] {
    return [...this.#byId.values()];
  }

  /** The leases on which something is that was not ended. */
  get leases(): ReadonlySet<SharedLease> {
    return new Set(
      this.all.flatMap((owned) => {
        const lease = this.leaseOf(owned);
        return lease === undefined ? [] : [lease];
      }),
    );
  }

  /** It is ended, or of no interest any more. Its owner may have come back since, with another. */
  drop(owned: T): void {
    if (!this.has(owned)) return;
    this.#byId.delete(this.idOf(owned));
    this.vacate(owned);
    this.dropped(owned);
  }

  protected dropIfEmpty(owned: T): void {
    if (owned.pending === 0 && !owned.doubtful && !this.isKnown(owned)) this.drop(owned);
  }

  /** Its owner has it no more; its key stays known, until `vacate`. */
  protected disown(owned: T): void {
    this.#byId.delete(this.idOf(owned));
  }

  /** What appears at its key from now on is not its. */
  protected vacate(owned: T): void {
    const text = textOf(this.keyOf(owned));
    const sharing = this.#byKey.get(text);
    sharing?.delete(owned);
    if (sharing?.size === 0) this.#byKey.delete(text);
  }

  /** Whatever a request of this owner may still do is unwanted, for so long. */
  protected markDeparted(ref: Ref, forMs: number): void {
    this.#departed.set(this.idOf(ref), this.clock.now().monoMs + forMs);
  }

  protected unmarkDeparted(ref: Ref): void {
    this.#departed.delete(this.idOf(ref));
  }

  hasDeparted(ref: Ref): boolean {
    return this.isDeparted(this.idOf(ref));
  }

  protected isDeparted(id: string): boolean {
    return (this.#departed.get(id) ?? -Infinity) > this.clock.now().monoMs;
  }

  /** Whether any unwanted request may still arrive. Forgets those whose time is over. */
  isExpecting(): boolean {
    const nowMs = this.clock.now().monoMs;
    for (const [id, untilMs] of this.#departed) if (untilMs <= nowMs) this.#departed.delete(id);
    return this.#departed.size > 0;
  }

  #add(owned: T): T {
    const text = textOf(this.keyOf(owned));
    const sharing = this.#byKey.get(text) ?? new Set();
    this.#byKey.set(text, sharing.add(owned));
    this.#byId.set(this.idOf(owned), owned);
    return owned;
  }
}

/** Keys are compared as etcd compares them, byte for byte. */
export function textOf(key: Buffer): string {
  return key.toString("latin1");
}
