import {
  type AcquireRequest,
  type CallOptions,
  type ChangeListener,
  type ClaimRef,
  type Degradation,
  type Granted,
  type GrantListener,
  type LeaseStore,
  type ProposeRequest,
  type Queued,
  type Random,
  type Refused,
  type ReleaseRequest,
  type RenewAnswer,
  type RenewRequest,
  type Snapshot,
} from "@leasehold/core";
import { acquireClaim } from "./steps/acquire.ts";
import type { Parts } from "./steps/parts.ts";
import type { Calls } from "./rpc/calls.ts";
import { deleteClaim, type Doomed } from "./ownership/claim-deletion.ts";
import type { ClaimKeys } from "./format/claim-keys.ts";
import { named } from "./format/claim-request.ts";
import { evictClaim } from "./steps/evict.ts";
import { inspectResource } from "./steps/inspect.ts";
import { LineSums } from "./line/line-sums.ts";
import { LineWatches } from "./line/line-watches.ts";
import type { OwnerRecord } from "./ownership/roster.ts";
import { proposeValue } from "./steps/propose.ts";
import { renewClaims } from "./steps/renew.ts";
import { ResourceWatches } from "./line/resource-watches.ts";
import { Roster } from "./ownership/roster.ts";
import { closedError, toLeaseholdError } from "./rpc/failure.ts";
import type { SharedLease } from "./leases/shared-lease.ts";
import { SharedLeases } from "./leases/shared-leases.ts";
import { Sweeper } from "./ownership/sweeper.ts";

/**
 * Claims as keys in etcd. Resources that announce are like any others: whoever watches a resource
 * watches its keys, so the store itself tells of every change, expiry included.
 */
export class EtcdLeaseStore implements LeaseStore {
  readonly #parts: Parts;
  readonly #resourceWatches: ResourceWatches;
  readonly #degraded: (degradation: Degradation) => void;
  #closed = false;

  constructor(calls: Calls, keys: ClaimKeys, random: Random, degraded: (degradation: Degradation) => void) {
    this.#degraded = degraded;
    const interrupted = (message: string): void =>
      degraded({ reason: "pushes-interrupted", message: `etcd watch: ${message}` });
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
      interrupted,
    });
    this.#parts = { calls, keys, sums: new LineSums(keys), leases, roster, watches, sweeper, random };
    this.#resourceWatches = new ResourceWatches(
      calls,
      (resource) => keys.resource(resource),
      random,
      interrupted,
    );
  }

  /**
   * The leases of this process, which claims share with whoever else has keys that must end with
   * it.
   */
  get sharedLeases(): SharedLeases {
    return this.#parts.leases;
  }

  get sweeper(): Sweeper {
    return this.#parts.sweeper;
  }

  async acquire(request: AcquireRequest): Promise<Granted | Queued | Refused> {
    this.#assertOpen();
    return acquireClaim(this.#parts, { ...named(request), capacity: request.resource.capacity });
  }

  async renew(requests: readonly RenewRequest[], options: CallOptions): Promise<RenewAnswer[]> {
    if (this.#closed) return requests.map(() => ({ kind: "unanswered", error: closedError() }));
    return renewClaims(this.#parts, requests.map(named), options);
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    this.#assertOpen();
    const { resource, owner, timeoutMs, departedForMs = 0 } = named(request);
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

  async propose(request: ProposeRequest): Promise<boolean> {
    this.#assertOpen();
    try {
      return await proposeValue(this.#parts, named(request));
    } catch (error) {
      throw toLeaseholdError(error, "proposal", true);
    }
  }

  async evict(request: ClaimRef & CallOptions): Promise<boolean> {
    this.#assertOpen();
    return evictClaim(this.#parts, named(request));
  }

  watch(resource: string, listener: ChangeListener): () => void {
    this.#assertOpen();
    return this.#resourceWatches.watch(resource, listener);
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
   * Ends watches and leases. Bounded by `timeoutMs`. A lease on which a claim was not released is
   * left to lapse: whoever acquired it may still be at work, and nobody else may be let in before
   * its ttl has passed. `alsoInUse`: leases on which others have something that must lapse
   * likewise.
   */
  async close(timeoutMs: number, alsoInUse: () => Iterable<SharedLease>): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const { leases, roster, watches, sweeper } = this.#parts;
    sweeper.close();
    const inUse = (): ReadonlySet<SharedLease> => new Set([...roster.leases, ...alsoInUse()]);
    const observers = this.#resourceWatches.close();
    await Promise.all([observers, watches.close(), leases.revokeAll(inUse, timeoutMs)]);
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }
}

/**
 * By ticket, if it is known for certain which claim the owner has; else by the owner, which the
 * value names.
 */
function doomedOf({ key, owner, claim, pending, doubtful }: OwnerRecord): Doomed {
  return claim === undefined || doubtful || pending > 0 ? { key, owner } : { key, ticket: claim.ticket };
}
