import { elapsedMs, type Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

/** A look that was saved up comes back after this long, or after up to twice as much, by chance. */
const shortestPauseMs = 50;

/**
 * How often to look. A few looks may follow each other at once, so that single changes are seen as
 * they come. Under a burst there is one look every 50 to 100 ms. So changes within such a moment
 * cost one look, and a thousand processes that hear of the same change do not all look at the same
 * moments.
 */
export class LookPace {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #most: number;
  #saved: number;
  #since;

  /** `most`: how many looks may follow each other at once. */
  constructor(clock: Clock, random: Random, most: number) {
    this.#clock = clock;
    this.#random = random;
    this.#most = most;
    this.#saved = most;
    this.#since = clock.now();
  }

  /** How long to wait before the next look, in milliseconds. The look is taken for begun then. */
  nextMs(): number {
    const restMs = shortestPauseMs * (1 + this.#random.fraction());
    const saved = this.#saved + elapsedMs(this.#clock, this.#since) / restMs;
    this.#since = this.#clock.now();
    this.#saved = Math.min(this.#most, saved) - 1;
    return this.#saved >= 0 ? 0 : -this.#saved * restMs;
  }

  /** The last look does not count. */
  refund(): void {
    this.#saved = Math.min(this.#most, this.#saved + 1);
  }
}
