import { isLeaseholdError, isStoredFailure } from "@leasehold/core";

import { checkDuration, checkOptionalFunction } from "../base/arguments.ts";
import { isBrokenCircuitError } from "./broken-circuit-error.ts";
import { isTimeout } from "../base/time-limit.ts";

/** What one call says of its dependency. `excluded`: nothing. */
export type Verdict = "success" | "failure" | "excluded";

export interface VerdictOptions {
  /**
   * Which errors count as failures; the others are answers, and so successes. Default: all that are not excluded. Too late is no
   * answer: a `TimeoutError` counts, whatever this says.
   */
  readonly failureIf?: (error: unknown) => boolean;
  /** Which values count as failures, such as a response with status 503. Default: none. */
  readonly failureIfResult?: (value: unknown) => boolean;
  /** Which further errors say nothing of the dependency, such as those of the caller's own making. Default: none. */
  readonly excludeIf?: (error: unknown) => boolean;
  /** From how many milliseconds on a call counts as slow. Default: none does. */
  readonly slowCallMs?: number;
}

/** How calls are judged. Its methods throw what the caller's own predicates throw, and nothing else. */
export interface Judge {
  readonly slowCallMs: number;
  /** `signal`: the caller's, as it is when the call has failed. */
  ofError(error: unknown, signal: AbortSignal | undefined): Verdict;
  ofValue(value: unknown): Verdict;
}

/** Contention, the caller's own fault, or a loss of the caller's own: the dependency did what it should. */
const noVerdict: ReadonlySet<string> = new Set([
  "ACQUIRE_TIMEOUT",
  "TOO_MANY_WAITERS",
  "INVALID_ARGUMENT",
  "LEASE_LOST",
  "STALE_TOKEN",
  "SHAPE_MISMATCH",
  "CLOSED",
  "IDEMPOTENCY_IN_PROGRESS",
  "IDEMPOTENCY_MISMATCH",
  "IDEMPOTENCY_FENCED",
  "IDEMPOTENCY_RESULT_UNAVAILABLE",
]);

export function createJudge(options: VerdictOptions): Judge {
  const { failureIf, failureIfResult, excludeIf, slowCallMs = Infinity } = options;
  checkOptionalFunction("failureIf", failureIf);
  checkOptionalFunction("failureIfResult", failureIfResult);
  checkOptionalFunction("excludeIf", excludeIf);
  return {
    slowCallMs: checkDuration("slowCallMs", slowCallMs, { infinite: true }),
    ofError: (error, signal) => {
      if (isCancelled(signal) || isBrokenCircuitError(error) || isStoredFailure(error)) return "excluded";
      if (isLeaseholdError(error) && noVerdict.has(error.code)) return "excluded";
      if (excludeIf?.(error) === true) return "excluded";
      return failureIf === undefined || failureIf(error) || isTimeout(error) ? "failure" : "success";
    },
    ofValue: (value) => (failureIfResult?.(value) === true ? "failure" : "success"),
  };
}

/**
 * Whether the caller gave up. A signal that aborted because time was over is the opposite: the dependency was too slow, and
 * were that no verdict, a dependency that hangs would never open its circuit.
 */
function isCancelled(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && !isTimeout(signal.reason);
}
