import { invalidArgument } from "@leasehold/core";

import { checkNumber, checkOptions } from "../base/arguments.ts";
import { CountWindow } from "./count-window.ts";
import { TimeWindow } from "./time-window.ts";

/** Which calls a closed circuit remembers, to judge its dependency by. */
export type CallWindowOptions =
  /** Opens after so many failures in a row; a success begins anew. Knows no rates. */
  | { readonly type: "consecutive"; readonly failures: number }
  /** The last so many calls. */
  | { readonly type: "count"; readonly calls: number }
  /** The calls of the last so many milliseconds, in `buckets` (default 10): the oldest bucket goes as a whole. */
  | { readonly type: "time"; readonly durationMs: number; readonly buckets?: number };

export interface RateOptions {
  /** Share of failed calls at which the circuit opens, above 0 and at most 1. Default: 0.5. */
  readonly failureRateThreshold?: number;
  /** Share of slow calls at which the circuit opens, above 0 and at most 1. Default: 1. Needs `slowCallMs`. */
  readonly slowCallRateThreshold?: number;
  /** With fewer calls than these in the window no rate is believed. Default: 20, or all of a smaller count window. */
  readonly minimumCalls?: number;
}

/** Why a closed circuit opens. */
export type Trip = "consecutive failures" | "failure rate" | "slow call rate";

/** What a circuit remembers while it is closed. */
export interface CallWindow {
  /** Whether it asks what time it is: a look at the clock costs as much as the rest of a call. */
  readonly isTimed: boolean;
  /** Takes note of one call; answers why to open, or null. A call that is neither failed nor slow opens no circuit. */
  record(failed: boolean, slow: boolean, nowMs: number): Trip | null;
  clear(): void;
}

export interface WindowOptions extends RateOptions {
  /** Default: `{ type: "time", durationMs: 30_000 }`. */
  readonly window?: CallWindowOptions;
}

/** Answers how to make the window that the options describe. Throws `INVALID_ARGUMENT`. */
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
    default:
      throw invalidArgument(
        `window.type must be "consecutive", "count" or "time"; got ${String((window as { type: unknown }).type)}.`,
      );
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
