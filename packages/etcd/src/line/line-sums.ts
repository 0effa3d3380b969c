import type { Instant } from "@leasehold/core";
import type { IRequestOp, ITxnResponse } from "etcd3";
import type { ClaimKeys, ClaimKey } from "../format/claim-keys.ts";
import { hasLease, rangeIn } from "../format/answers.ts";

/** What the claims of a line come to, at the revision of the answer. */
export interface LineSum {
  /** Their weights, added up. */
  readonly total: number;
  /** How many they are. */
  readonly claims: number;
}

/**
 * One question of what a line comes to: the reads to put into a transaction, and how to read its
 * answer.
 */
export interface SumQuestion {
  readonly reads: readonly IRequestOp[];
  /** `at`: where the first of the reads stands in the answer. */
  read(answer: ITxnResponse, at: number): LineSum;
}

/**
 * From so many claims on, those of one weight are counted: below, sending their keys costs less
 * than two more reads.
 */
const worthCounting = 3;
/**
 * With a put beside them, `n` counts and `n + 1` pieces between stay under the 128 operations that
 * etcd takes.
 */
const mostCounted = 60;
/** Lines of which the weights are remembered. One that is forgotten is sent whole once more. */
const mostLines = 1_000;
/** How long a count is taken for claims after the line was read. */
const trustedForMs = 10_000;

/**
 * Adds up lines without reading them. etcd cannot add, but it counts a range without sending it,
 * and the claims of one weight are a range. So the weights that are common in a line are counted,
 * and what lies between those ranges is sent: claims of rare weights, and claims of weights that
 * nobody here has met yet.
 *
 * Measured with 1,000 holders of ten weights: an acquire that had all keys sent cost this process 5
 * ms, a count 0.6 ms, as it does with ten holders. A range of keys costs 7 microseconds a key here;
 * a count costs 6, however many it counts.
 *
 * The sum is exact, whatever is remembered. All reads are of one transaction, so of one revision;
 * together they cover the line, and no claim is in two of them. What is remembered, which weights
 * were common in the last answer, decides only what the next one costs. So there is no view that
 * could be stale: not after a compaction, not while a watch is broken, not for a transaction that a
 * network holds back, and a lease that ends meanwhile has its keys in the count or has not.
 *
 * A key that is no claim, where only claims should be, is counted as one. That is on the safe side,
 * and found out by the reads of those who wait. Where nobody waits, for all only try, `wantsRead`
 * asks for a read now and then.
 */
export class LineSums {
  readonly #keys: ClaimKeys;
  /** By line: the weights to count. The one that was asked for longest ago comes first. */
  readonly #common = new Map<string, readonly number[]>();
  /** By line: when it was last to be read, on the monotonic clock. The oldest comes first. */
  readonly #readAtMs = new Map<string, number>();

  constructor(keys: ClaimKeys) {
    this.#keys = keys;
  }

  ask(resource: string, capacity: number): SumQuestion {
    const id = `${capacity}/${resource}`;
    // Capacity 1: every weight is 1, so counting is adding up.
    const weights = capacity === 1 ? [1] : (this.#common.get(id) ?? []);
    const { counted, between } =
      capacity === 1
        ? { counted: [this.#keys.line(resource, capacity)], between: [] }
        : this.#keys.pieces(resource, capacity, weights);
    return {
      reads: [
        ...counted.map((piece) => ({ request_range: { ...piece, count_only: true } })),
        ...between.map((piece) => ({ request_range: { ...piece, keys_only: true } })),
      ],
      read: (answer, at) => {
        const counts = new Map(
          weights.map((weight, index) => [weight, Number(rangeIn(answer, at + index).count)]),
        );
        for (const index of between.keys())
          for (const { weight } of this.#claimsIn(answer, at + weights.length + index))
            counts.set(weight, (counts.get(weight) ?? 0) + 1);
        if (capacity > 1) this.#remember(id, counts);
        return sumOf(counts);
      },
    };
  }

  /**
   * Whether a sum that lets nobody in is to be checked by a read of the line, which tells claims
   * from other keys. Once it has said so, the caller must read.
   */
  wantsRead(resource: string, capacity: number, now: Instant): boolean {
    const id = `${capacity}/${resource}`;
    if (now.monoMs - (this.#readAtMs.get(id) ?? -Infinity) < trustedForMs) return false;
    remember(this.#readAtMs, id, now.monoMs);
    return true;
  }

  #claimsIn(answer: ITxnResponse, index: number): ClaimKey[] {
    return rangeIn(answer, index).kvs.flatMap((kv) => {
      const key = hasLease(kv) ? this.#keys.parse(kv.key) : undefined;
      return key === undefined ? [] : [key];
    });
  }

  #remember(id: string, counts: ReadonlyMap<number, number>): void {
    const common = [...counts].filter(([, count]) => count >= worthCounting);
    common.sort(([, a], [, b]) => b - a);
    this.#common.delete(id);
    if (common.length === 0) return;
    const weights = common.slice(0, mostCounted).map(([weight]) => weight);
    remember(this.#common, id, weights);
  }
}

function remember<T>(byLine: Map<string, T>, id: string, value: T): void {
  byLine.delete(id);
  byLine.set(id, value);
  const [oldest] = byLine.keys();
  if (byLine.size > mostLines && oldest !== undefined) byLine.delete(oldest);
}

function sumOf(counts: ReadonlyMap<number, number>): LineSum {
  let [total, claims] = [0, 0];
  for (const [weight, count] of counts) {
    total += weight * count;
    claims += count;
  }
  return { total, claims };
}
