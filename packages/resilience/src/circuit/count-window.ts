import type { CallWindow, RateOptions, Trip } from "./call-window.ts";
import { WindowSums } from "./window-sums.ts";

const failedBit = 1;
const slowBit = 2;

/** A ring of the last calls, two bits each. */
export class CountWindow implements CallWindow {
  readonly isTimed = false;
  readonly #ring: Uint8Array;
  readonly #sums: WindowSums;
  #next = 0;

  constructor(calls: number, rates: Required<RateOptions>) {
    this.#ring = new Uint8Array(calls);
    this.#sums = new WindowSums(rates);
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
    return failed || slow ? sums.trip() : null;
  }

  clear(): void {
    this.#ring.fill(0);
    this.#sums.clear();
    this.#next = 0;
  }
}
