import type { Random } from "@leasehold/core";
import { inTime } from "../rpc/deadline.ts";
import type { Calls } from "../rpc/calls.ts";
import { grantLease } from "./lease-requests.ts";
import type { SharedLease } from "./shared-lease.ts";

/**
 * What a record is kept for. Those in progress are kept by themselves: extending them refreshes
 * their lease, which must not make those that have ended live for longer.
 */
export type Keeping = "in-progress" | "ended";

interface Bucket {
  lease: SharedLease | undefined;
  granting: Promise<SharedLease> | undefined;
}

/** One bucket is this part of the retention: that much longer, at most, a record is kept. */
const bucketsPerRetention = 8;

/**
 * The leases that keep records, apart from those that keep executions. One for all records of a
 * retention and a bucket of time, since a lease per record would be a grant per call, and etcd
 * keeps its leases in memory.
 *
 * A lease is granted for the retention and a bucket, and used while the retention is left of it. So
 * a record lives for at least its retention, counted from when its request was sent, and at most an
 * eighth longer (or a second, if that is more). The next one is granted ahead, when a quarter of
 * the bucket is left; so under steady traffic nobody waits for a grant.
 *
 * They are never revoked: what they keep must outlive this process.
 */
export class RetentionLeases {
  readonly #calls: Calls;
  readonly #random: Random;
  readonly #buckets = new Map<string, Bucket>();

  constructor(calls: Calls, random: Random) {
    this.#calls = calls;
    this.#random = random;
  }

  /** A lease with at least `retentionMs` left. */
  async forRecord(keeping: Keeping, retentionMs: number, timeoutMs: number): Promise<SharedLease> {
    const bucket = this.#bucketOf(`${keeping}/${retentionMs}`);
    const { lease } = bucket;
    if (lease === undefined || lease.remainingMs < retentionMs)
      return inTime(this.#calls.clock, this.#grant(bucket, retentionMs, timeoutMs), timeoutMs);
    const spareMs = lease.remainingMs - retentionMs;
    // If it fails, the next record asks again; this one has what it needs.
    if (spareMs < (lease.ttlMs - retentionMs) / 4)
      this.#grant(bucket, retentionMs, timeoutMs).catch(() => {});
    return lease;
  }

  /** A request that named it was told that there is no such lease; or it may be so. */
  lost(lease: SharedLease): void {
    for (const [id, bucket] of this.#buckets) if (bucket.lease === lease) this.#buckets.delete(id);
  }

  #bucketOf(id: string): Bucket {
    let bucket = this.#buckets.get(id);
    if (bucket === undefined) {
      this.#dropEnded();
      bucket = { lease: undefined, granting: undefined };
      this.#buckets.set(id, bucket);
    }
    return bucket;
  }

  #grant(bucket: Bucket, retentionMs: number, timeoutMs: number): Promise<SharedLease> {
    if (bucket.granting !== undefined) return bucket.granting;
    const ttlMs = 1000 * Math.ceil((retentionMs + Math.max(1000, retentionMs / bucketsPerRetention)) / 1000);
    const granting = grantLease(this.#calls, this.#random, ttlMs, timeoutMs, { orLonger: true }).then(
      (lease) => {
        bucket.lease = lease;
        return lease;
      },
    );
    bucket.granting = granting;
    const ended = (): void => void (bucket.granting = undefined);
    granting.then(ended, ended);
    return granting;
  }

  /** Retentions that nobody has asked for in a whole life of their last lease. */
  #dropEnded(): void {
    for (const [id, { lease, granting }] of this.#buckets)
      if (granting === undefined && (lease === undefined || lease.lapsedMs > 0)) this.#buckets.delete(id);
  }
}
