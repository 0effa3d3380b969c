import { invalidArgument } from "@leasehold/core";

import { checkNumber, checkOptions } from "../base/arguments.ts";
import type { RateOptions, WindowOptions } from "./circuit-breaker.ts";

/** Why a closed circuit opens. */
export type Trip = "consecutive failures" | "failure rate" | "slow call rate";

/** What a circuit remembers while it is closed. */
export interface CallWindow {
  /** Whether it needs the time: a look at the clock costs as much as the rest of a call. */
  readonly isTimed: boolean;
  /** Records a call. Returns why to open, or null: always null for a good, fast call. */
  record(failed: boolean, slow: boolean, nowMs: number): Trip | null;
  clear(): void;
}

/** Returns how to make the window that the options describe. Throws `INVALID_ARGUMENT`. */
export function readWindow(options: WindowOptions & { readonly slowCallMs?: number }): () => CallWindow {
  const { window = { type: "time", durationMs: 30_000 }, slowCallMs, slowCallRateThreshold } = options;
  checkOptions("window", window);
  if (slowCallRateThreshold !== undefined && slowCallMs === undefined)
    throw invalidArgument("slowCallRateThreshold needs slowCallMs: from when on a call counts as slow.");
  switch (window.type) {
    case "consecutive": {
      const { failures } = window;
      checkNumber("window.failures", failures, { atLeast: 1, whole: true });
      const { failureRateThreshold, minimumCalls } = options;
      for (const [what, value] of Object.entries({ failureRateThreshold, minimumCalls, slowCallMs }))
        if (value !== undefined)
          throw invalidArgument(
            `${what} has no meaning for a consecutive window: take a count or a time window.`,
          );
      return () => new ConsecutiveWindow(failures);
    }
    case "count": {
      const { calls } = window;
      checkNumber("window.calls", calls, { atLeast: 1, atMost: 1_000_000, whole: true });
      const rates = readRates(options, calls);
      return () => new CountWindow(calls, rates);
    }
    case "time": {
      const { durationMs, buckets = 10 } = window;
      checkNumber("window.durationMs", durationMs, { above: 0 });
      checkNumber("window.buckets", buckets, { atLeast: 1, atMost: 1_000, whole: true });
      const rates = readRates(options, Infinity);
      return () => new TimeWindow(durationMs / buckets, buckets, rates);
    }
    default: {
      const type = String((window as { type: unknown }).type);
      throw invalidArgument(`window.type must be "consecutive", "count" or "time"; got ${type}.`);
    }
  }
}

function readRates(options: RateOptions, mostCalls: number): Required<RateOptions> {
  const { failureRateThreshold = 0.5, slowCallRateThreshold = 1 } = options;
  const { minimumCalls = Math.min(20, mostCalls) } = options;
  checkNumber("failureRateThreshold", failureRateThreshold, { above: 0, atMost: 1 });
  checkNumber("slowCallRateThreshold", slowCallRateThreshold, { above: 0, atMost: 1 });
  checkNumber("minimumCalls", minimumCalls, { atLeast: 1, atMost: mostCalls, whole: true });
  return { failureRateThreshold, slowCallRateThreshold, minimumCalls };
}

class ConsecutiveWindow implements CallWindow {
  readonly isTimed = false;
  readonly #most: number;
  #failures = 0;

  constructor(most: number) {
    this.#most = most;
  }

  record(failed: boolean): Trip | null {
    this.#failures = failed ? this.#failures + 1 : 0;
    return this.#failures >= this.#most ? "consecutive failures" : null;
  }

  clear(): void {
    this.#failures = 0;
  }
}

interface Sums {
  calls: number;
  failures: number;
  slow: number;
}

const noCalls = (): Sums => ({ calls: 0, failures: 0, slow: 0 });

/** What the rates of these calls say. */
function tripOf({ calls, failures, slow }: Sums, rates: Required<RateOptions>): Trip | null {
  const { minimumCalls, failureRateThreshold, slowCallRateThreshold } = rates;
  if (calls < minimumCalls) return null;
  // Divided, not multiplied: 11 / 20 is the same number as 0.55, while 0.55 * 20 is more than 11.
  if (failures / calls >= failureRateThreshold) return "failure rate";
  return slow / calls >= slowCallRateThreshold ? "slow call rate" : null;
}

const failedBit = 1;
const slowBit = 2;

/** A ring of the last calls, two bits each. */
class CountWindow implements CallWindow {
  readonly isTimed = false;
  readonly #ring: Uint8Array;
  readonly #rates: Required<RateOptions>;
  #sums = noCalls();
  #next = 0;

  constructor(calls: number, rates: Required<RateOptions>) {
    this.#ring = new Uint8Array(calls);
    this.#rates = rates;
  }

  record(failed: boolean, slow: boolean): Trip | null {
    const sums = this.#sums;
    // A place that was never written has no bits: it takes nothing away from the sums.
    const oldest = this.#ring[this.#next] ?? 0;
    if (sums.calls < this.#ring.length) sums.calls += 1;
    sums.failures += Number(failed) - Number((oldest & failedBit) !== 0);
    sums.slow += Number(slow) - Number((oldest & slowBit) !== 0);
    this.#ring[this.#next] = (failed ? failedBit : 0) | (slow ? slowBit : 0);
    this.#next = (this.#next + 1) % this.#ring.length;
    return failed || slow ? tripOf(sums, this.#rates) : null;
  }

  clear(): void {
    this.#ring.fill(0);
    this.#sums = noCalls();
    this.#next = 0;
  }
}

/**
 * A ring of buckets, each for its share of the window. The next call empties all buckets whose time
 * has passed: after an idle time, however long, none is left.
 */
class TimeWindow implements CallWindow {
  readonly isTimed = true;
  readonly #bucketMs: number;
  readonly #rates: Required<RateOptions>;
  readonly #buckets: Sums[];
  readonly #sums = noCalls();
  #current: Sums;
  /** The number of the current bucket, counted from the clock's beginning. */
  #number = -1;

  constructor(bucketMs: number, buckets: number, rates: Required<RateOptions>) {
    this.#bucketMs = bucketMs;
    this.#rates = rates;
    this.#current = noCalls();
    this.#buckets = [this.#current, ...Array.from({ length: buckets - 1 }, noCalls)];
  }

  record(failed: boolean, slow: boolean, nowMs: number): Trip | null {
    this.#advance(Math.floor(nowMs / this.#bucketMs));
    for (const each of [this.#sums, this.#current]) {
      each.calls += 1;
      each.failures += Number(failed);
      each.slow += Number(slow);
    }
    return failed || slow ? tripOf(this.#sums, this.#rates) : null;
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

  #empty(bucket: Sums): void {
    const sums = this.#sums;
    sums.calls -= bucket.calls;
    sums.failures -= bucket.failures;
    sums.slow -= bucket.slow;
    Object.assign(bucket, noCalls());
  }
}
