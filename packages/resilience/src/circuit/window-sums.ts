import type { RateOptions, Trip } from "./call-window.ts";

/** The calls in a window, and what their rates say. */
export class WindowSums {
  readonly #rates: Required<RateOptions>;
  calls = 0;
  failures = 0;
  slow = 0;

  constructor(rates: Required<RateOptions>) {
    this.#rates = rates;
  }

  trip(): Trip | null {
    const { minimumCalls, failureRateThreshold, slowCallRateThreshold } = this.#rates;
    if (this.calls < minimumCalls) return null;
    // Divided, not multiplied: 11 / 20 is the same number as 0.55, while 0.55 * 20 is more than 11.
    if (this.failures / this.calls >= failureRateThreshold) return "failure rate";
    return this.slow / this.calls >= slowCallRateThreshold ? "slow call rate" : null;
  }

  clear(): void {
    this.calls = 0;
    this.failures = 0;
    this.slow = 0;
  }
}
