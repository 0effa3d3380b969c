import { systemClock, systemRandom, type Clock, type Random } from "@leasehold/core";

import { checkNumber, checkOptionalFunction, checkOptions, checkText } from "../base/arguments.ts";
import { checkBackoff, exponentialBackoff, type Backoff } from "../retry/backoff.ts";
import { readWindow, type CallWindow } from "./call-window.ts";
import type { CircuitBreakerOptions, CircuitEvent, HalfOpenOptions } from "./circuit-breaker.ts";
import { createJudge, type Judge } from "./verdict.ts";

/** The options of a circuit, complete and checked. One serves all circuits of a registry. */
export interface CircuitSettings {
  readonly name: string;
  readonly openMs: Backoff;
  readonly halfOpen: Required<HalfOpenOptions>;
  readonly createWindow: () => CallWindow;
  readonly judge: Judge;
  readonly onEvent: ((event: CircuitEvent) => void) | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/** Throws `INVALID_ARGUMENT`. */
export function readCircuitOptions(options: CircuitBreakerOptions): CircuitSettings {
  const {
    name,
    openMs = exponentialBackoff({ initialMs: 5_000, maxMs: 60_000, jitter: "equal" }),
    halfOpen = {},
    onEvent,
    clock = systemClock,
    random = systemRandom,
  } = checkOptions("options", options);
  const { calls = 1, threshold = 0, probeTimeoutMs = 10_000 } = checkOptions("halfOpen", halfOpen);
  checkNumber("halfOpen.calls", calls, { atLeast: 1, atMost: 1_000_000, whole: true });
  checkNumber("halfOpen.threshold", threshold, { atLeast: 0, below: 1 });
  checkNumber("halfOpen.probeTimeoutMs", probeTimeoutMs, { above: 0 });
  return {
    name: checkText("name", name),
    openMs: checkBackoff("openMs", openMs),
    halfOpen: { calls, threshold, probeTimeoutMs },
    createWindow: readWindow(options),
    judge: createJudge(options),
    onEvent: checkOptionalFunction("onEvent", onEvent),
    clock,
    random,
  };
}
