import { encodeName, type Instant } from "@leasehold/core";
import type { ClaimName, JoinRequest } from "../format/claim-request.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import { encodeRecord } from "../format/claim-record.ts";
import type { OwnClaim } from "../line/own-claim.ts";
import type { SharedLease } from "../leases/shared-lease.ts";
import type { Calls } from "../rpc/calls.ts";
import { deleteClaim, type Doomed } from "./claim-deletion.ts";
import { Owners, type Owned } from "./owners.ts";
import { sweepTimeoutMs, type Kind, type Sweeper } from "./sweeper.ts";

/**
 * What this process knows of one owner: one acquire call, with all its tries. The shape is that of
 * the first try.
 */
export interface OwnerRecord extends ClaimName, Owned {
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
  /** The claim of the last answered acquire, until it is released or known to be gone. */
  claim: OwnClaim | undefined;
  /** Released, and the store has said that nothing is left. */
  deleted: boolean;
  /** Until when a copy of an acquire may still arrive, on the monotonic clock. */
  departedUntilMs: number;
}

/** The claims of this process: who owns a place in some line, and who has left. */
export class Claims extends Owners<ClaimName, OwnerRecord> implements Kind {
  readonly #calls: Calls;
  readonly #keys: ClaimKeys;
  readonly #sweeper: Sweeper;
  readonly #slots = new Slots();
  /** Released records whose key name must not be used again yet. */
  readonly #lingering = new Set<OwnerRecord>();

  constructor(calls: Calls, keys: ClaimKeys, sweeper: Sweeper) {
    super(calls.clock);
    this.#calls = calls;
    this.#keys = keys;
    this.#sweeper = sweeper;
    sweeper.admit(this);
  }

  /** An acquire begins. */
  enter(request: JoinRequest): OwnerRecord {
    return this.begin(request, () => this.#make(request));
  }

  override leave(record: OwnerRecord): void {
    super.leave(record);
    this.#freeIfOver(record);
  }

  /** The store has no such claim any more. */
  claimGone(claim: OwnClaim): void {
    const record = this.find(claim);
    if (record?.claim !== claim) return;
    record.claim = undefined;
    this.dropIfEmpty(record);
  }

  /**
   * The owner is released: from now on whatever it has in the store is litter. Answers what to
   * delete; `settled` must be called when the store has said that nothing is left.
   * `departedForMs`: for so long a copy of an acquire of this owner may still arrive.
   */
  release(
    ref: ClaimName,
    departedForMs: number,
  ): { readonly claim: OwnClaim | undefined; readonly doomed: Doomed; readonly settled: () => void } {
    const record = this.find(ref);
    if (departedForMs > 0) {
      this.markDeparted(ref, departedForMs);
      this.#sweeper.expect();
    }
    if (record === undefined) {
      const { resource, owner } = ref;
      return { claim: undefined, doomed: { resource, owner }, settled: () => {} };
    }
    record.departedUntilMs = this.clock.now().monoMs + departedForMs;
    // Its key stays known until its delete is answered. A sweep that was faster than that would let
    // the release find nothing, and tell its holder of a loss that never was.
    this.disown(record);
    this.#lingering.add(record);
    const settled = (): void => this.#deleted(record);
    return { claim: record.claim, doomed: doomedOf(record), settled };
  }

  /** Deletes a claim that nobody wants, in the background, until that is acknowledged. */
  discard(doomed: Doomed, settled: () => void = () => {}): void {
    this.#sweeper.discard(async () => {
      await deleteClaim(this.#calls, this.#keys, doomed, sweepTimeoutMs);
      settled();
    });
  }

  /** As `discard`, of what was tried and not acknowledged: not at once. */
  owe(doomed: Doomed, settled: () => void): void {
    this.#sweeper.owe(async () => {
      await deleteClaim(this.#calls, this.#keys, doomed, sweepTimeoutMs);
      settled();
    });
  }

  includes(key: string): boolean {
    return this.#keys.parse(Buffer.from(key, "latin1")) !== undefined;
  }

  /** The list tells names only. If the name is in use again by now, what is read is not litter. */
  async remove(text: string): Promise<void> {
    const key = Buffer.from(text, "latin1");
    const lapsed = this.at(text).find((record) => this.hasLapsed(record))?.claim;
    if (lapsed !== undefined) {
      this.discard(lapsed);
      return this.claimGone(lapsed);
    }
    const { kvs } = await this.#calls.unary(({ kv }, options) => kv.range({ key }, options), sweepTimeoutMs);
    const [litter] = kvs;
    if (litter === undefined || this.at(text).length > 0) return;
    this.discard({ key, ticket: BigInt(litter.create_revision) });
  }

  override isExpecting(): boolean {
    for (const record of this.#lingering) this.#freeIfOver(record);
    return super.isExpecting();
  }

  /** Renewals list the keys of a lease on which there are claims, so no list comes too late. */
  overdue(): readonly string[] {
    return [];
  }

  nextOverdueMs(): number {
    return Infinity;
  }

  protected override idOf({ resource, owner }: ClaimName): string {
    return `${encodeName(resource)}/${owner}`;
  }

  protected override keyOf({ key }: OwnerRecord): Buffer {
    return key;
  }

  protected override isKnown({ claim }: OwnerRecord): boolean {
    return claim !== undefined;
  }

  protected override askedFor({ claim }: OwnerRecord): { at: Instant; forMs: number } | undefined {
    return claim && { at: claim.askedAt, forMs: claim.lease.ttlMs };
  }

  protected override leaseOf({ claim }: OwnerRecord): SharedLease | undefined {
    return claim?.lease;
  }

  protected override dropped(record: OwnerRecord): void {
    this.#slots.free(lineOf(record), record.slot);
  }

  #make(request: JoinRequest): OwnerRecord {
    const { resource, owner, capacity, weight, value } = request;
    const slot = this.#slots.take(lineOf(request));
    const key = this.#keys.claim(resource, capacity, weight, slot);
    const stored = encodeRecord({ owner, sequence: 0, evicted: false, value });
    return {
      ...{ resource, owner, capacity, weight, key, slot, stored },
      ...{ pending: 0, doubtful: false, claim: undefined, deleted: false, departedUntilMs: 0 },
    };
  }

  #deleted(record: OwnerRecord): void {
    record.deleted = true;
    this.vacate(record);
    this.#freeIfOver(record);
  }

  /**
   * A copy of an acquire that arrives after the name is in use again does nothing; but if the new
   * claim were removed by hand first, the copy would pass for it. So the name rests for as long as
   * a copy may arrive.
   */
  #freeIfOver(record: OwnerRecord): void {
    const { pending, deleted, departedUntilMs } = record;
    if (pending > 0 || !deleted || departedUntilMs > this.clock.now().monoMs) return;
    if (this.#lingering.delete(record)) this.#slots.free(lineOf(record), record.slot);
  }
}

/**
 * By ticket, if it is known for certain which claim it is; else by the owner, which the value
 * names.
 */
function doomedOf({ key, owner, claim, pending, doubtful }: OwnerRecord): Doomed {
  return claim === undefined || doubtful || pending > 0 ? { key, owner } : { key, ticket: claim.ticket };
}

function lineOf({
  resource,
  capacity,
  weight,
}: Pick<OwnerRecord, "resource" | "capacity" | "weight">): string {
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
