import { invalidArgument, systemClock, type Clock } from "@leasehold/core";

import { checkNumber, checkOptions } from "../base/arguments.ts";

export interface RetryBudgetOptions {
  /** Retries per call, in the long run. Default: 0.2, as in Finagle, Envoy and Linkerd. */
  readonly ratio?: number;
  /** Retries per second, however few calls there are. Default: 10, as in Finagle and Linkerd. */
  readonly minPerSecond?: number;
  /** How many retries may follow each other at once. Default: 10 s of the floor, at least 10. */
  readonly maxTokens?: number;
  readonly clock?: Clock;
}

/**
 * How many retries a dependency bears, for all who call it: give the same budget to each of their
 * policies. Without one, `maxRetries: 3` puts four times the load on a dependency that fails under
 * its load, and it stays down.
 *
 * A token bucket: each call deposits `ratio` tokens, each second `minPerSecond`, each retry
 * withdraws one. So over any time there are at most `maxTokens + ratio * calls + minPerSecond *
 * seconds` retries. It starts full.
 */
export interface RetryBudget {
  /** How many tokens there are now. */
  readonly tokens: number;
  /** One call was made. `retry` says so itself; say so for calls that are sent without it. */
  deposit(): void;
  /** Asks for one retry. False: none is left, and the call's failure stands. */
  withdraw(): boolean;
}

/** For sums of fractions: ten deposits of 0.1 make a token. */
const roundingError = 1e-9;

/** Throws `INVALID_ARGUMENT`. */
export function retryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const { ratio = 0.2, minPerSecond = 10, clock = systemClock } = checkOptions("options", options);
  checkNumber("ratio", ratio, { atLeast: 0, atMost: 10 });
  checkNumber("minPerSecond", minPerSecond, { atLeast: 0 });
  if (ratio === 0 && minPerSecond === 0)
    throw invalidArgument(
      "ratio and minPerSecond are both 0: such a budget would never allow a retry again.",
    );
  const maxTokens = checkNumber("maxTokens", options.maxTokens ?? Math.max(10, 10 * minPerSecond), {
    atLeast: 1,
  });
  let tokens = maxTokens;
  let sinceMs = clock.now().monoMs;
  const refill = (): number => {
    const nowMs = clock.now().monoMs;
    tokens = Math.min(maxTokens, tokens + ((nowMs - sinceMs) / 1_000) * minPerSecond);
    sinceMs = nowMs;
    return tokens;
  };
  return {
    get tokens() {
      return refill();
    },
    // On every call's path: the clock and the cap wait until somebody asks.
    deposit: () => {
      tokens += ratio;
    },
    withdraw: () => {
      if (refill() < 1 - roundingError) return false;
      tokens = Math.max(0, tokens - 1);
      return true;
    },
  };
}
