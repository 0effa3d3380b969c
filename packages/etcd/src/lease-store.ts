import {
  type AcquireRequest,
  type CallOptions,
  type ChangeListener,
  type ClaimRef,
  type Granted,
  type GrantListener,
  type LeaseStore,
  type Look,
  type LookOptions,
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
import { deleteClaim } from "./ownership/claim-deletion.ts";
import type { ClaimKeys } from "./format/claim-keys.ts";
import { named } from "./format/claim-request.ts";
import { evictClaim } from "./steps/evict.ts";
import { inspectResource } from "./steps/inspect.ts";
import { lookAtResource } from "./steps/look.ts";
import { LineSums } from "./line/line-sums.ts";
import { LineWatches } from "./line/line-watches.ts";
import { proposeValue } from "./steps/propose.ts";
import { renewClaims } from "./steps/renew.ts";
import type { WatchHub } from "./rpc/watch-hub.ts";
import { ResourceWatches } from "./line/resource-watches.ts";
import { Claims } from "./ownership/claims.ts";
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
  #closed = false;

  constructor(calls: Calls, hub: WatchHub, keys: ClaimKeys, random: Random) {
    const leases = new SharedLeases(calls, random, () => watches.lookAgain());
    const sweeper = new Sweeper(calls, leases);
    const claims = new Claims(calls, keys, sweeper);
    const watches: LineWatches = new LineWatches(calls, keys, hub, {
      unwanted: (claim) => {
        const { settled } = claims.release(claim, 0);
        claims.discard({ key: claim.key, ticket: claim.ticket }, settled);
      },
      gone: (claim) => claims.claimGone(claim),
    });
    this.#parts = { calls, keys, sums: new LineSums(keys), leases, claims, watches, sweeper, random };
    this.#resourceWatches = new ResourceWatches(hub, (resource) => keys.resource(resource));
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
    const { calls, keys, claims, watches } = this.#parts;
    const { claim, doomed, settled } = claims.release({ resource, owner }, departedForMs);
    if (claim !== undefined) watches.delete(claim);
    try {
      const deleted = await deleteClaim(calls, keys, doomed, timeoutMs);
      settled();
      return deleted;
    } catch (error) {
      claims.owe(doomed, settled);
      throw toLeaseholdError(error, "release", true);
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
      return await inspectResource(this.#parts, resource, options);
    } catch (error) {
      throw toLeaseholdError(error, "inspection", false);
    }
  }

  async look(resource: string, options: LookOptions): Promise<Look> {
    this.#assertOpen();
    try {
      return await lookAtResource(this.#parts, resource, options);
    } catch (error) {
      throw toLeaseholdError(error, "look", false);
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
    const { leases, claims, watches, sweeper } = this.#parts;
    sweeper.close();
    const inUse = (): ReadonlySet<SharedLease> => new Set([...claims.leases, ...alsoInUse()]);
    this.#resourceWatches.close();
    watches.close();
    await leases.revokeAll(inUse, timeoutMs);
  }

  #assertOpen(): void {
    if (this.#closed) throw closedError();
  }
}
