import {
  LeaseholdError,
  type AcquireRequest,
  type CallOptions,
  type Degradation,
  type Granted,
  type GrantListener,
  type LeaseStore,
  type Queued,
  type Random,
  type Refused,
  type ReleaseRequest,
  type RenewAnswer,
  type RenewRequest,
  type Snapshot,
} from "@leasehold/core";
import { acquireClaim, type Parts } from "./acquisition.ts";
import type { Calls } from "./calls.ts";
import { deleteClaim, type Doomed } from "./claim-deletion.ts";
import type { ClaimKeys } from "./claim-keys.ts";
import { inspectResource } from "./inspection.ts";
import { LineWatches } from "./line-watches.ts";
import type { OwnerRecord } from "./own-claim.ts";
import { renewClaims } from "./renewal.ts";
import { Roster } from "./roster.ts";
import { toLeaseholdError } from "./rpc-failure.ts";
import { SharedLeases } from "./shared-leases.ts";
import { Sweeper } from "./sweeper.ts";

/** Claims as keys in etcd. */
export class EtcdLeaseStore implements LeaseStore {
  readonly #parts: Parts;
  readonly #degraded: (degradation: Degradation) => void;
  #closed = false;

  constructor(calls: Calls, keys: ClaimKeys, random: Random, degraded: (degradation: Degradation) => void) {
    this.#degraded = degraded;
    const roster = new Roster(keys);
    const leases = new SharedLeases(calls, random, () => watches.lookAgain());
    const sweeper = new Sweeper(calls, keys, roster, leases);
    const watches: LineWatches = new LineWatches(calls, keys, random, {
      unwanted: (claim) => {
        const nowMs = calls.now().monoMs;
        const record = roster.release(claim, nowMs, 0);
        sweeper.discard(
          { key: claim.key, ticket: claim.ticket },
          () => record && roster.deleted(record, nowMs),
        );
      },
      gone: (claim) => roster.claimGone(claim),
      interrupted: (message) => degraded({ reason: "pushes-interrupted", message: `etcd watch: ${message}` }),
    });
    this.#parts = { calls, keys, leases, roster, watches, sweeper };
  }

  async acquire(request: AcquireRequest): Promise<Granted | Queued | Refused> {
    this.#assertOpen();
    return acquireClaim(this.#parts, request);
  }

  async renew(requests: readonly RenewRequest[], options: CallOptions): Promise<RenewAnswer[]> {
    if (this.#closed) return requests.map(() => ({ kind: "unanswered", error: closedError() }));
    return renewClaims(this.#parts, requests, options);
  }

  async release({ resource, owner, timeoutMs, departedForMs = 0 }: ReleaseRequest): Promise<boolean> {
    this.#assertOpen();
    const { calls, keys, roster, watches, sweeper } = this.#parts;
    const nowMs = calls.now().monoMs;
    const record = roster.release({ resource, owner }, nowMs, departedForMs);
    if (record?.claim !== undefined) watches.delete(record.claim);
    const doomed = record === undefined ? { resource, owner } : doomedOf(record);
    const settled = (): void => {
      if (record !== undefined) roster.deleted(record, calls.now().monoMs);
    };
    try {
      const deleted = await deleteClaim(calls, keys, doomed, timeoutMs);
      settled();
      return deleted;
    } catch (error) {
      sweeper.owe(doomed, settled);
      throw toLeaseholdError(error, "release", true);
    } finally {
      if (departedForMs > 0) sweeper.arm();
    }
  }

  async inspect(resource: string, options: CallOptions): Promise<Snapshot> {
    this.#assertOpen();
    try {
      return await inspectResource(this.#parts, resource, options, (count) =>
        this.#degraded({
          reason: "malformed-record",
          message: `${count} keys of resource ${JSON.stringify(resource)} are no claims. They are ignored; remove them.`,
        }),
      );
    } catch (error) {
      throw toLeaseholdError(error, "inspection", false);
    }
  }

  onGrant(listener: GrantListener): () => void {
    return this.#parts.watches.listen(listener);
  }

  /**
   * Ends watches and leases. Bounded by `timeoutMs`. A lease on which a claim was not released is left to lapse: whoever
   * acquired it may still be at work, and nobody else may be let in before its ttl has passed.
   */
  async close(timeoutMs: number): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { leases, roster, watches, sweeper } = this.#parts;
    sweeper.close();
    await Promise.all([watches.close(), leases.revokeAll(roster.leases, timeoutMs)]);
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }
}

/** By ticket, if it is known for certain which claim the owner has; else by what only this owner can have written. */
function doomedOf({ key, stored, claim, pending, doubtful }: OwnerRecord): Doomed {
  return claim === undefined || doubtful || pending > 0 ? { key, stored } : { key, ticket: claim.ticket };
}

function closedError(): LeaseholdError {
  return new LeaseholdError("CLOSED", "This etcd backend is closed.");
}
