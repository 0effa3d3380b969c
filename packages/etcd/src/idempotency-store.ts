import type {
  BeginReply,
  BeginRequest,
  ChangeListener,
  ExtendReply,
  ExtendRequest,
  FinishReply,
  FinishRequest,
  IdempotencyStore,
  Random,
} from "@leasehold/core";
import type { Calls } from "./rpc/calls.ts";
import { closedError } from "./rpc/failure.ts";
import type { WatchHub } from "./rpc/watch-hub.ts";
import { ResourceWatches } from "./line/resource-watches.ts";
import type { SharedLease } from "./leases/shared-lease.ts";
import type { SharedLeases } from "./leases/shared-leases.ts";
import type { Sweeper } from "./ownership/sweeper.ts";
import { beginExecution } from "./idempotency/begin-execution.ts";
import { Executions } from "./idempotency/executions.ts";
import { extendExecution } from "./idempotency/keep-execution.ts";
import { finishExecution } from "./idempotency/finish-execution.ts";
import type { Parts } from "./idempotency/parts.ts";
import { RecordKeys } from "./format/record-keys.ts";
import { RetentionLeases } from "./leases/retention-leases.ts";
import { MalformedRecord } from "./idempotency/seen-record.ts";

/** What a store of records stands on besides its own. */
export interface Foundation {
  readonly calls: Calls;
  readonly hub: WatchHub;
  /**
   * The leases of this process, which its claims are on too, and who looks after what is left on
   * them.
   */
  readonly leases: SharedLeases;
  readonly sweeper: Sweeper;
  readonly random: Random;
}

/**
 * Records as two keys in etcd: what has become of a record, on a lease for its retention, and whose
 * execution is the present one, on the lease of its process. So the end of a process ends its
 * executions, and not its results. The token of an execution is the revision of the record that
 * began it, so tokens grow for as long as the cluster keeps its data.
 *
 * Requests that say `watched` are like any others: whoever watches a record watches its keys, so
 * the store itself tells of every change, and of a lease that runs out too.
 */
export class EtcdIdempotencyStore implements IdempotencyStore {
  /** etcd takes requests of 1.5 MiB, unless it is told otherwise (`--max-request-bytes`). */
  readonly maxBodyBytes: number = 2 ** 20;
  readonly #parts: Parts;
  readonly #watches: ResourceWatches;
  #closed = false;

  constructor(prefix: string, { calls, hub, leases, sweeper, random }: Foundation) {
    const keys = new RecordKeys(prefix);
    const executions = new Executions(calls, keys, leases, sweeper);
    const retention = new RetentionLeases(calls, random);
    this.#parts = { calls, keys, leases, retention, executions, sweeper };
    this.#watches = new ResourceWatches(hub, (record) => keys.both(record));
  }

  begin(request: BeginRequest): Promise<BeginReply> {
    return this.#telling(request.record, () => beginExecution(this.#parts, request));
  }

  extend(request: ExtendRequest): Promise<ExtendReply> {
    return this.#telling(request.record, () => extendExecution(this.#parts, request));
  }

  finish(request: FinishRequest): Promise<FinishReply> {
    return this.#telling(request.record, () => finishExecution(this.#parts, request));
  }

  watch(record: string, listener: ChangeListener): () => void {
    if (this.#closed) throw closedError();
    return this.#watches.watch(record, listener);
  }

  /**
   * The leases of this process on which executions hang that were not ended: they must lapse, and
   * not be revoked.
   */
  get leasesInUse(): ReadonlySet<SharedLease> {
    return this.#parts.executions.leases;
  }

  /**
   * Ends the watches. Neither results nor executions end with it: those are kept, and these lapse.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watches.close();
  }

  async #telling<T>(record: string, call: () => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError();
    try {
      return await call();
    } catch (error) {
      if (error instanceof MalformedRecord)
        this.#parts.calls.health.degraded({
          reason: "malformed-record",
          message: `Idempotency record ${JSON.stringify(record)}: ${error.message}`,
        });
      throw error;
    }
  }
}
