import { encodeName, type ClaimRef } from "@leasehold/core";
import type { OwnClaim, OwnerRecord } from "./own-claim.ts";

/** What a late or lost request may have left behind, and where. */
export interface Leftover extends ClaimRef {
  readonly capacity: number | undefined;
}

/**
 * Who in this process owns a place in some line, and who has left. A key on one of our leases whose owner is not in here is
 * nobody's: its release was asked for, so nobody waits on it and nobody believes in it.
 */
export class Roster {
  readonly #records = new Map<string, OwnerRecord>();
  readonly #departed = new Map<string, number>();
  readonly #leaving = new Set<string>();
  readonly #undeleted = new Map<string, Leftover>();

  /** An acquire begins. From before its request leaves, a sweep must not touch what it may write. */
  enter(ref: ClaimRef, capacity: number): OwnerRecord {
    const id = idOf(ref);
    let record = this.#records.get(id);
    if (record === undefined) {
      const { resource, owner } = ref;
      record = { resource, owner, capacity, pending: 0, doubtful: false, claim: undefined };
      this.#records.set(id, record);
    }
    record.pending += 1;
    return record;
  }

  /** An acquire has ended. A record of which nothing is left in the store, for certain, is dropped. */
  leave(record: OwnerRecord): void {
    record.pending -= 1;
    this.#dropIfEmpty(record);
  }

  find(ref: ClaimRef): OwnerRecord | undefined {
    return this.#records.get(idOf(ref));
  }

  /** Whether an acquire that began with this record still has somebody who wants it. */
  has(record: OwnerRecord): boolean {
    return this.#records.get(idOf(record)) === record;
  }

  /** Whether the owner in a key (`name` is encoded) is one of ours, alive or on its way. */
  owns(name: string, owner: string): boolean {
    const id = `${name}/${owner}`;
    return this.#records.has(id) || this.#leaving.has(id);
  }

  /** The store has no such claim any more. */
  claimGone(claim: OwnClaim): void {
    const record = this.find(claim);
    if (record?.claim !== claim) return;
    record.claim = undefined;
    this.#dropIfEmpty(record);
  }

  /**
   * The owner is being released: nobody waits on it or believes in it. Answers what was known of it. Until `released` its
   * key is left to the release: a sweep that was faster would let the release find nothing, and tell of a loss that never was.
   */
  release(ref: ClaimRef): OwnerRecord | undefined {
    const id = idOf(ref);
    const record = this.#records.get(id);
    this.#records.delete(id);
    this.#leaving.add(id);
    return record;
  }

  /** The release has ended: from now on whatever the owner has in the store is litter. */
  released(ref: ClaimRef): void {
    this.#leaving.delete(idOf(ref));
  }

  /** A copy of an acquire of this owner may still arrive, until `untilMs` on the monotonic clock. */
  depart(ref: ClaimRef, untilMs: number): void {
    this.#departed.set(idOf(ref), untilMs);
  }

  hasDeparted(ref: ClaimRef, nowMs: number): boolean {
    return (this.#departed.get(idOf(ref)) ?? -Infinity) > nowMs;
  }

  /** Whether any owner may still have a copy of an acquire on its way. Forgets those whose time is over. */
  someDeparted(nowMs: number): boolean {
    for (const [id, untilMs] of this.#departed) if (untilMs <= nowMs) this.#departed.delete(id);
    return this.#departed.size > 0;
  }

  /** A delete was not acknowledged: it stays on the list until one is. */
  owesDelete(leftover: Leftover): void {
    this.#undeleted.set(idOf(leftover), leftover);
  }

  deleted(ref: ClaimRef): void {
    this.#undeleted.delete(idOf(ref));
  }

  get undeleted(): readonly Leftover[] {
    return [...this.#undeleted.values()];
  }

  #dropIfEmpty(record: OwnerRecord): void {
    if (record.pending > 0 || record.doubtful || record.claim !== undefined) return;
    if (this.has(record)) this.#records.delete(idOf(record));
  }
}

function idOf({ resource, owner }: ClaimRef): string {
  return `${encodeName(resource)}/${owner}`;
}
