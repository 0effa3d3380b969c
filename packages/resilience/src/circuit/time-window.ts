import type { CallWindow, RateOptions, Trip } from "./call-window.ts";
import { WindowSums } from "./window-sums.ts";

interface Bucket {
  calls: number;
  failures: number;
  slow: number;
}

/**
 * A ring of buckets, each for its share of the window. Whoever comes next empties all whose time has passed: after an idle
 * time, however long, none is left.
 */
export class TimeWindow implements CallWindow {
  readonly isTimed = true;
  readonly #bucketMs: number;
  readonly #buckets: Bucket[];
  readonly #sums: WindowSums;
  #current: Bucket;
  /** The number of the current bucket, counted from the clock's beginning. */
  #number = -1;

  constructor(bucketMs: number, buckets: number, rates: Required<RateOptions>) {
    this.#bucketMs = bucketMs;
    this.#current = { calls: 0, failures: 0, slow: 0 };
    this.#buckets = [this.#current];
    while (this.#buckets.length < buckets) this.#buckets.push({ calls: 0, failures: 0, slow: 0 });
    this.#sums = new WindowSums(rates);
  }

  record(failed: boolean, slow: boolean, nowMs: number): Trip | null {
    this.#advance(Math.floor(nowMs / this.#bucketMs));
    const sums = this.#sums;
    const bucket = this.#current;
    sums.calls += 1;
    bucket.calls += 1;
    if (!failed && !slow) return null;
    sums.failures += Number(failed);
    bucket.failures += Number(failed);
    sums.slow += Number(slow);
    bucket.slow += Number(slow);
    return sums.trip();
  }

  clear(): void {
    for (const bucket of this.#buckets) this.#empty(bucket);
  }

  #advance(number: number): void {
    const { length } = this.#buckets;
    for (let passed = Math.max(this.#number + 1, number - length + 1); passed <= number; passed += 1) {
      this.#current = this.#buckets[passed % length] ?? this.#current;
      this.#empty(this.#current);
      this.#number = passed;
    }
  }

  #empty(bucket: Bucket): void {
    const sums = this.#sums;
    sums.calls -= bucket.calls;
    sums.failures -= bucket.failures;
    sums.slow -= bucket.slow;
    bucket.calls = 0;
    bucket.failures = 0;
    bucket.slow = 0;
  }
}
