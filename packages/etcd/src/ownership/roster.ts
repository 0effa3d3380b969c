import { encodeName } from "@leasehold/core";
import type { ClaimName, JoinRequest } from "../format/claim-request.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import { encodeRecord } from "../format/claim-record.ts";
import type { OwnClaim } from "../line/own-claim.ts";
import type { SharedLease } from "../leases/shared-lease.ts";

/**
 * What this process knows of one owner: one acquire call, with all its tries. The shape is that of
 * the first try.
 */
export interface OwnerRecord extends ClaimName {
  readonly capacity: number;
  readonly weight: number;
  /** Where all tries of this owner write: the second finds the claim of the first. */
  readonly key: Buffer;
  /**
   * What they write. It names the owner, which tells this claim from any other that the key ever
   * held.
   */
  readonly stored: Buffer;
  readonly slot: number;
  /** How many acquires of this owner are under way. */
  pending: number;
  /** An acquire of this owner was not answered: a copy may be carried out at any later time. */
  doubtful: boolean;
  /** The claim of the last answered acquire, until it is released or known to be gone. */
  claim: OwnClaim | undefined;
  /** Released, and the store has said that nothing is left. */
  deleted: boolean;
  /** Until when a copy of an acquire may still arrive, on the monotonic clock. */
  departedUntilMs: number;
}

/**
 * Who in this process owns a place in some line, and who has left. A key on one of our leases that
 * belongs to nobody in here is litter: its release was asked for, so nobody waits on it and nobody
 * believes in it.
 */
export class Roster {
  readonly #keys: ClaimKeys;
  readonly #slots = new Slots();
  readonly #records = new Map<string, OwnerRecord>();
  readonly #byKey = new Map<string, OwnerRecord>();
  /**
   * Owners that were released with a request unanswered, and until when a copy of it may arrive.
   */
  readonly #departed = new Map<string, number>();
  /** Released records whose key name must not be used again yet. */
  readonly #lingering = new Set<OwnerRecord>();

  constructor(keys: ClaimKeys) {
    this.#keys = keys;
  }

  /**
   * An acquire begins. From before its request leaves, a sweep must not touch what it may write.
   */
  enter(request: JoinRequest): OwnerRecord {
    const record = this.find(request) ?? this.#add(request);
    record.pending += 1;
    return record;
  }

  /**
   * An acquire has ended. A record of which nothing is left in the store, for certain, is dropped.
   */
  leave(record: OwnerRecord): void {
    record.pending -= 1;
    if (this.has(record)) this.#dropIfEmpty(record);
    else this.#freeIfOver(record);
  }

  find(ref: ClaimName): OwnerRecord | undefined {
    return this.#records.get(idOf(ref));
  }

  /** Whether the acquire that began with this record still has somebody who wants it. */
  has(record: OwnerRecord): boolean {
    return this.#records.get(idOf(record)) === record;
  }

  /**
   * Whose claim is at this key (as latin1 text), or is about to be written there, or is just being
   * released.
   */
  at(key: string): OwnerRecord | undefined {
    return this.#byKey.get(key);
  }

  /** The leases on which claims hang that were not released. */
  get leases(): ReadonlySet<SharedLease> {
    return new Set(
      [...this.#records.values()].flatMap(({ claim }) => (claim === undefined ? [] : [claim.lease])),
    );
  }

  /** The store has no such claim any more. */
  claimGone(claim: OwnClaim): void {
    const record = this.find(claim);
    if (record?.claim !== claim) return;
    record.claim = undefined;
    this.#dropIfEmpty(record);
  }

  /**
   * The owner is released: from now on whatever it has in the store is litter. Answers what was
   * known of it; `deleted` must follow. `departedForMs`: for so long a copy of an acquire of this
   * owner may still arrive.
   */
  release(ref: ClaimName, nowMs: number, departedForMs: number): OwnerRecord | undefined {
    const record = this.find(ref);
    if (departedForMs > 0) this.#departed.set(idOf(ref), nowMs + departedForMs);
    if (record === undefined) return undefined;
    record.departedUntilMs = nowMs + departedForMs;
    this.#records.delete(idOf(ref));
    // Its key stays known until its delete is answered. A sweep that was faster than that would let
    // the release find nothing, and tell its holder of a loss that never was.
    this.#lingering.add(record);
    return record;
  }

  /** The store has said that nothing is left of a released record. */
  deleted(record: OwnerRecord, nowMs: number): void {
    record.deleted = true;
    this.#byKey.delete(record.key.toString("latin1"));
    // A copy that arrives after the name is in use again does nothing; but if the new claim were
    // removed by hand first, the copy would pass for it. So the name rests for as long as a copy
    // may arrive.
    if (record.departedUntilMs <= nowMs) record.departedUntilMs = 0;
    this.#freeIfOver(record);
  }

  hasDeparted(ref: ClaimName, nowMs: number): boolean {
    return (this.#departed.get(idOf(ref)) ?? -Infinity) > nowMs;
  }

  /**
   * Whether any owner may still have a copy of an acquire on its way. Forgets those whose time is
   * over.
   */
  someDeparted(nowMs: number): boolean {
    for (const [id, untilMs] of this.#departed) if (untilMs <= nowMs) this.#departed.delete(id);
    for (const record of this.#lingering) {
      if (record.departedUntilMs <= nowMs) record.departedUntilMs = 0;
      this.#freeIfOver(record);
    }
    return this.#departed.size > 0;
  }

  #add({ resource, owner, capacity, weight, value }: JoinRequest): OwnerRecord {
    const slot = this.#slots.take(lineOf(resource, capacity, weight));
    const key = this.#keys.claim(resource, capacity, weight, slot);
    const stored = encodeRecord({ owner, sequence: 0, evicted: false, value });
    const record: OwnerRecord = {
      ...{ resource, owner, capacity, weight, key, slot, stored },
      ...{ pending: 0, doubtful: false, claim: undefined, deleted: false, departedUntilMs: 0 },
    };
    this.#records.set(idOf(record), record);
    this.#byKey.set(key.toString("latin1"), record);
    return record;
  }

  #dropIfEmpty(record: OwnerRecord): void {
    if (record.pending > 0 || record.doubtful || record.claim !== undefined || !this.has(record)) return;
    this.#records.delete(idOf(record));
    this.#byKey.delete(record.key.toString("latin1"));
    this.#slots.free(lineOf(record.resource, record.capacity, record.weight), record.slot);
  }

  #freeIfOver(record: OwnerRecord): void {
    if (record.pending > 0 || !record.deleted || record.departedUntilMs > 0) return;
    if (!this.#lingering.delete(record)) return;
    this.#slots.free(lineOf(record.resource, record.capacity, record.weight), record.slot);
  }
}

function idOf({ resource, owner }: ClaimName): string {
  return `${encodeName(resource)}/${owner}`;
}

function lineOf(resource: string, capacity: number, weight: number): string {
  return `${capacity}/${weight}/${resource}`;
}

/**
 * Which key names of a line this process uses at present. A name is used again once its last claim
 * is surely over, so a line sees only as many names of a process as that had claims there at once,
 * however many come and go.
 */
class Slots {
  readonly #lines = new Map<string, { used: number; next: number; free: number[] }>();

  take(line: string): number {
    let slots = this.#lines.get(line);
    if (slots === undefined) {
      slots = { used: 0, next: 0, free: [] };
      this.#lines.set(line, slots);
    }
    slots.used += 1;
    return slots.free.pop() ?? slots.next++;
  }

  free(line: string, slot: number): void {
    const slots = this.#lines.get(line);
    if (slots === undefined) return;
    slots.used -= 1;
    if (slots.used === 0) this.#lines.delete(line);
    else slots.free.push(slot);
  }
}
