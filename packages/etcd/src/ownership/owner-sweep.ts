import type { Timer } from "@leasehold/core";
import type { ITxnRequest } from "etcd3";
import type { Calls } from "../rpc/calls.ts";
import { isUnchanged } from "../format/claim-compares.ts";
import type { SharedLease } from "../leases/shared-lease.ts";
import type { SharedLeases } from "../leases/shared-leases.ts";
import type { Sweeper, Tenant } from "./sweeper.ts";
import type { Execution } from "../idempotency/execution.ts";
import type { Executions } from "./executions.ts";
import type { RecordKeys } from "../format/record-keys.ts";
import { encodeRecordValue } from "../format/record-value.ts";
import {
  isAsSeen,
  MalformedRecord,
  readRecord,
  type Place,
  type Seen,
  type SeenOwner,
} from "../idempotency/seen-record.ts";

const requestTimeoutMs = 1_000;
const shortestPeriodMs = 200;

/**
 * Ends executions that nobody wants. An owner's key hangs on a lease that other executions and
 * claims keep alive, so it would keep its record from everybody for as long as this process lives:
 *
 * - of a handler that is stuck: core has stopped extending it, at its maximum duration or when it
 *   was lost. A timer deletes the key once nobody has asked for it for its lease, and the record
 *   may be taken over, as when a process has died;
 * - of a begin that was carried out after its caller had given up. The lists of our leases' keys
 *   show it (see `Sweeper`), and so does the next begin of this process for that record. If its
 *   owner has taken back what it may have begun, nothing of it was executed, and the record is
 *   released; else it is only let go.
 *
 * Every deletion names the revision of the key that was read, so one that arrives late does nothing
 * to a key that was written anew.
 */
export class OwnerSweep implements Tenant {
  readonly #calls: Calls;
  readonly #keys: RecordKeys;
  readonly #executions: Executions;
  readonly #leases: SharedLeases;
  readonly #sweeper: Sweeper;
  /** Owners' keys (as latin1 text) that are being looked at. */
  readonly #removing = new Set<string>();
  /** When the keys of a lease were last listed here, on the monotonic clock. */
  readonly #listedAtMs = new WeakMap<SharedLease, number>();
  #timer: Timer | undefined;
  #dueMs = Infinity;
  #closed = false;

  constructor(
    calls: Calls,
    keys: RecordKeys,
    executions: Executions,
    { leases, sweeper }: { readonly leases: SharedLeases; readonly sweeper: Sweeper },
  ) {
    this.#calls = calls;
    this.#keys = keys;
    this.#executions = executions;
    this.#leases = leases;
    this.#sweeper = sweeper;
    sweeper.admit(this);
  }

  /** It was asked for: look at it when its lease is over, unless it is asked for again. */
  arm(execution: Execution): void {
    if (this.#executions.has(execution)) this.#schedule(dueMsOf(execution));
  }

  /**
   * A begin was taken back, and a copy of it may still arrive: look every now and then until that
   * is over.
   */
  expect(): void {
    this.#sweeper.arm();
  }

  /**
   * Executions are put on this lease, which keeps it alive; so that no litter lives on with it, its
   * keys are listed once in its ttl. (Renewals of claims list them as well, but there may be none.)
   */
  used(lease: SharedLease): void {
    const { monoMs } = this.#calls.now();
    const listedAtMs = this.#listedAtMs.get(lease);
    if (listedAtMs !== undefined && monoMs - listedAtMs < lease.ttlMs) return;
    this.#listedAtMs.set(lease, monoMs);
    if (listedAtMs === undefined) return;
    this.#leases.list(lease, requestTimeoutMs).then(
      (keys) => this.#sweeper.listed(keys),
      () => {},
    );
  }

  /**
   * A begin has found this owner. If it is on a lease of ours, and we know of no such execution, it
   * is litter.
   */
  met(ownerKey: Buffer, owner: SeenOwner | null): void {
    if (owner === null || !this.#isOnOurLease(owner)) return;
    const text = ownerKey.toString("latin1");
    if (this.#executions.at(text, owner.owner) === undefined) void this.#remove(text);
  }

  listed(key: string): void {
    if (this.#keys.recordOf(key) !== undefined && !this.#executions.mayHave(key)) void this.#remove(key);
  }

  isExpecting(): boolean {
    return this.#executions.someDeparted();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #schedule(dueMs: number): void {
    if (this.#closed || dueMs >= this.#dueMs) return;
    const delayMs = Math.max(shortestPeriodMs, dueMs - this.#calls.now().monoMs);
    this.#dueMs = dueMs;
    this.#timer?.cancel();
    this.#timer = this.#calls.clock.schedule(delayMs, () => {
      this.#dueMs = Infinity;
      this.#sweep();
    });
  }

  #sweep(): void {
    const nowMs = this.#calls.now().monoMs;
    for (const execution of this.#executions.all) {
      const lapsed = this.#executions.hasLapsed(execution);
      if (lapsed) void this.#end(execution);
      // What cannot be ended now, because the store is out of reach, is tried again.
      this.#schedule(
        lapsed ? nowMs + requestTimeoutMs : Math.max(dueMsOf(execution), nowMs + shortestPeriodMs),
      );
    }
  }

  async #end(execution: Execution): Promise<void> {
    const { lease } = execution;
    // Nobody has kept it alive, so it has ended by itself, and the key with it.
    if (lease === undefined || lease.gone || lease.lapsedMs > lease.ttlMs)
      return this.#executions.drop(execution);
    const removed = await this.#remove(execution.ownerKey.toString("latin1"));
    if (removed && this.#executions.hasLapsed(execution)) this.#executions.drop(execution);
  }

  /** True: there is nothing more to do here. Whoever found it will find it again if this fails. */
  async #remove(text: string): Promise<boolean> {
    const recordKey = this.#keys.recordOf(text);
    if (recordKey === undefined || this.#removing.has(text)) return false;
    this.#removing.add(text);
    try {
      return await this.#tryRemove({ recordKey, ownerKey: Buffer.from(text, "latin1") }, text);
    } catch (error) {
      // What we did not write is left as it is.
      return error instanceof MalformedRecord;
    } finally {
      this.#removing.delete(text);
    }
  }

  async #tryRemove(place: Place, text: string): Promise<boolean> {
    const seen = await readRecord(this.#calls, place, requestTimeoutMs);
    if (seen.owner === null) return true;
    const { owner } = seen.owner;
    const execution = this.#executions.at(text, owner);
    if (execution === undefined) {
      // Of another process, which has taken over.
      if (!this.#isOnOurLease(seen.owner)) return true;
    } else {
      // Somebody has asked for it since.
      if (!this.#executions.hasLapsed(execution)) return false;
      execution.keyInDoubt = true;
    }
    const isTakenBack = this.#executions.hasDeparted(text, owner);
    const request = isTakenBack ? release(place, seen) : letGo(place, seen.owner);
    const { succeeded } = await this.#calls.unary(
      ({ kv }, options) => kv.txn(request, options),
      requestTimeoutMs,
    );
    return succeeded;
  }

  #isOnOurLease({ leaseId }: SeenOwner): boolean {
    return this.#leases.ours.some(({ id }) => id === leaseId);
  }
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

function dueMsOf({ askedAt, leaseMs }: Execution): number {
  return askedAt.monoMs + leaseMs + 1;
}
