import type { ExecutionRef, Instant } from "@leasehold/core";
import type { ITxnRequest } from "etcd3";
import { isUnchanged } from "../format/claim-compares.ts";
import type { RecordKeys } from "../format/record-keys.ts";
import { encodeRecordValue } from "../format/record-value.ts";
import type { SharedLease } from "../leases/shared-lease.ts";
import type { SharedLeases } from "../leases/shared-leases.ts";
import { Owners, textOf, type Owned } from "../ownership/owners.ts";
import { sweepTimeoutMs, type Kind, type Sweeper } from "../ownership/sweeper.ts";
import type { Calls } from "../rpc/calls.ts";
import {
  isAsSeen,
  MalformedRecord,
  readRecord,
  type Place,
  type Seen,
  type SeenOwner,
} from "./seen-record.ts";

/** What the store has acknowledged of an execution, and what its end has to write again. */
export interface Begun {
  readonly token: bigint;
  readonly attempt: number;
  readonly fingerprint: string;
}

/** What this process knows of one execution: one owner of one record. */
export interface Execution extends ExecutionRef, Place, Owned {
  readonly leaseMs: number;
  begun: Begun | undefined;
  /** The shared lease that its owner's key is, or may be, on. */
  lease: SharedLease | undefined;
  /** The lease that its record is on; undefined: not known to this process. */
  retention: SharedLease | undefined;
  /** When it was last begun or extended, or asked to be. */
  askedAt: Instant;
  /**
   * Whether a deletion of its owner's key, by this process, may be under way: then seeing the key
   * proves nothing, and only writing it anew makes it stay, since a deletion names the revision
   * that it is for. So it is until the key was written.
   */
  keyInDoubt: boolean;
}

/**
 * For how long a begin that was given up may still arrive, at least. As core's bound for claims.
 */
const departedForMs = 60_000;

/**
 * The executions of this process. An owner's key hangs on a lease that other executions and claims
 * keep alive, so it would keep its record from everybody for as long as this process lives:
 *
 * - of a handler that is stuck: core has stopped extending it, at its maximum duration or when it
 *   was lost. It is overdue once nobody has asked for it for its lease, and the record may then be
 *   taken over, as when a process has died;
 * - of a begin that was carried out after its caller had given up. The lists of our leases' keys
 *   show it, and so does the next begin of this process for that record. If its owner has taken
 *   back what it may have begun, nothing of it was executed, and the record is released; else it is
 *   only let go.
 */
export class Executions extends Owners<ExecutionRef, Execution> implements Kind {
  readonly #calls: Calls;
  readonly #keys: RecordKeys;
  readonly #leases: SharedLeases;
  readonly #sweeper: Sweeper;

  constructor(calls: Calls, keys: RecordKeys, leases: SharedLeases, sweeper: Sweeper) {
    super(calls.clock);
    this.#calls = calls;
    this.#keys = keys;
    this.#leases = leases;
    this.#sweeper = sweeper;
    sweeper.admit(this);
  }

  /** A request begins. Whoever asks again wants it again. */
  enter(ref: ExecutionRef & { readonly leaseMs: number }): Execution {
    const execution = this.begin(ref, () => {
      this.unmarkDeparted(ref);
      return this.#make(ref);
    });
    execution.askedAt = this.clock.now();
    return execution;
  }

  /** A request has ended. If it left something, that is looked at when its lease is over. */
  override leave(execution: Execution): void {
    super.leave(execution);
    if (this.has(execution)) this.#sweeper.lookAt(this.lapsesAtMs(execution));
  }

  /** The owner takes back whatever it has begun, and whatever a begin of it may still do. */
  depart(ref: ExecutionRef): void {
    const execution = this.find(ref);
    this.markDeparted(ref, Math.max(departedForMs, execution?.leaseMs ?? 0));
    if (execution !== undefined) this.drop(execution);
    this.#sweeper.expect();
  }

  /** What it had begun was taken back: no begin can find the record as it was before any more. */
  forgetDeparture(ref: ExecutionRef): void {
    this.unmarkDeparted(ref);
  }

  /**
   * A begin has found this owner. If it is on a lease of ours and no such execution is known, it is
   * litter.
   */
  met(ownerKey: Buffer, owner: SeenOwner | null): void {
    if (owner === null || !this.#isOnOurLease(owner)) return;
    const key = textOf(ownerKey);
    if (this.#of(key, owner.owner) === undefined) this.#sweeper.found(this, key);
  }

  includes(key: string): boolean {
    return this.#keys.recordOf(key) !== undefined;
  }

  overdue(): readonly string[] {
    return this.all.filter((execution) => this.hasLapsed(execution)).map(({ ownerKey }) => textOf(ownerKey));
  }

  nextOverdueMs(): number {
    return this.all.reduce((earliest, execution) => Math.min(earliest, this.lapsesAtMs(execution)), Infinity);
  }

  async remove(key: string): Promise<void> {
    const recordKey = this.#keys.recordOf(key);
    if (recordKey === undefined) return;
    const lapsed = this.at(key).filter((execution) => this.hasLapsed(execution));
    const over = lapsed.filter(
      ({ lease }) => lease === undefined || lease.gone || lease.lapsedMs > lease.ttlMs,
    );
    // Nobody has kept its lease alive, so it has ended by itself, and the key with it.
    for (const execution of over) this.drop(execution);
    if (over.length > 0 && over.length === lapsed.length) return;
    const place = { recordKey, ownerKey: Buffer.from(key, "latin1") };
    try {
      if (!(await this.#tryRemove(place, key))) return;
    } catch (error) {
      // What we did not write is left as it is.
      if (!(error instanceof MalformedRecord)) throw error;
    }
    for (const execution of this.at(key)) if (this.hasLapsed(execution)) this.drop(execution);
  }

  protected override idOf({ record, owner }: ExecutionRef): string {
    return idOf(textOf(this.#keys.owner(record)), owner);
  }

  protected override isKnown({ begun }: Execution): boolean {
    return begun !== undefined;
  }

  /**
   * `askedAt` is set anew with each answer, and no lease was refreshed after the answer that told
   * of it. So an execution never lapses before the validity that was told has passed.
   */
  protected override askedFor(execution: Execution): { at: Instant; forMs: number } | undefined {
    const { pending, askedAt, leaseMs } = execution;
    return pending > 0 ? undefined : { at: askedAt, forMs: leaseMs };
  }

  protected override leaseOf({ lease }: Execution): SharedLease | undefined {
    return lease;
  }

  protected override keyOf({ ownerKey }: Execution): Buffer {
    return ownerKey;
  }

  /** The execution of that owner whose key this is (as latin1 text). */
  #of(key: string, owner: string): Execution | undefined {
    return this.at(key).find((execution) => execution.owner === owner);
  }

  #make({ record, owner, leaseMs }: ExecutionRef & { readonly leaseMs: number }): Execution {
    const place = { recordKey: this.#keys.record(record), ownerKey: this.#keys.owner(record) };
    return {
      ...{ record, owner, leaseMs, ...place },
      ...{ pending: 0, doubtful: false, keyInDoubt: true, askedAt: this.clock.now() },
      ...{ begun: undefined, lease: undefined, retention: undefined },
    };
  }

  /** True: there is nothing more to do here. */
  async #tryRemove(place: Place, key: string): Promise<boolean> {
    const seen = await readRecord(this.#calls, place, sweepTimeoutMs);
    if (seen.owner === null) return true;
    const { owner } = seen.owner;
    const execution = this.#of(key, owner);
    if (execution === undefined) {
      // Of another process, which has taken over.
      if (!this.#isOnOurLease(seen.owner)) return true;
    } else {
      // Somebody has asked for it since.
      if (!this.hasLapsed(execution)) return false;
      execution.keyInDoubt = true;
    }
    const isTakenBack = this.isDeparted(idOf(key, owner));
    const request = isTakenBack ? release(place, seen) : letGo(place, seen.owner);
    const { succeeded } = await this.#calls.unary(
      ({ kv }, options) => kv.txn(request, options),
      sweepTimeoutMs,
      { turn: "ends" },
    );
    return succeeded;
  }

  #isOnOurLease({ leaseId }: SeenOwner): boolean {
    return this.#leases.ours.some(({ id }) => id === leaseId);
  }
}

function idOf(ownerKey: string, owner: string): string {
  return `${ownerKey}/${owner}`;
}

/** The record stays in progress without an owner: whatever was done under it is not known. */
function letGo({ ownerKey }: Place, { revision }: SeenOwner): ITxnRequest {
  return {
    compare: [isUnchanged(ownerKey, revision)],
    success: [{ request_delete_range: { key: ownerKey } }],
  };
}

/**
 * As `finish` would have done, had the begin come before it. On the lease that the record is on: it
 * is not kept for longer.
 */
function release(place: Place, seen: Seen): ITxnRequest {
  const { recordKey, ownerKey } = place;
  const { record } = seen;
  const forget = { request_delete_range: { key: ownerKey } };
  if (record === null) return { compare: isAsSeen(place, seen), success: [forget] };
  const value = encodeRecordValue({ ...record, state: "released", body: null });
  return {
    compare: isAsSeen(place, seen),
    success: [{ request_put: { key: recordKey, value, lease: record.leaseId } }, forget],
  };
}
