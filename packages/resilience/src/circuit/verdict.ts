import { isLeaseholdError, isStoredFailure, type ErrorCode } from "@leasehold/core";

import { checkDuration, checkOptionalFunction } from "../base/arguments.ts";
import { isTimeout } from "../base/time-limit.ts";
import { isBrokenCircuitError } from "./broken-circuit-error.ts";
import type { VerdictOptions } from "./circuit-breaker.ts";

/** What one call says of its dependency. `excluded`: nothing. */
export type Verdict = "success" | "failure" | "excluded";

/** How calls are judged. Its methods throw what the caller's predicates throw, and nothing else. */
export interface Judge {
  readonly slowCallMs: number;
  /** `signal`: the caller's, as it is when the call has failed. */
  ofError(error: unknown, signal: AbortSignal | undefined): Verdict;
  ofValue(value: unknown): Verdict;
}

/**
 * Whether the error says that the store failed. Contention, the caller's mistakes and the loss of
 * the caller's own lease do not: the dependency did what it should.
 */
const isOfDependency = {
  BACKEND_UNAVAILABLE: true,
  OUTCOME_UNKNOWN: true,
  ACQUIRE_TIMEOUT: false,
  TOO_MANY_WAITERS: false,
  INVALID_ARGUMENT: false,
  LEASE_LOST: false,
  STALE_TOKEN: false,
  SHAPE_MISMATCH: false,
  CLOSED: false,
  IDEMPOTENCY_IN_PROGRESS: false,
  IDEMPOTENCY_MISMATCH: false,
  IDEMPOTENCY_FENCED: false,
  IDEMPOTENCY_RESULT_UNAVAILABLE: false,
} satisfies Readonly<Record<ErrorCode, boolean>>;

export function createJudge(options: VerdictOptions): Judge {
  const { failureIf, failureIfResult, excludeIf, slowCallMs = Infinity } = options;
  checkOptionalFunction("failureIf", failureIf);
  checkOptionalFunction("failureIfResult", failureIfResult);
  checkOptionalFunction("excludeIf", excludeIf);
  return {
    slowCallMs: checkDuration("slowCallMs", slowCallMs, { infinite: true }),
    ofError: (error, signal) => {
      if (isCancelled(signal) || isBrokenCircuitError(error) || isStoredFailure(error)) return "excluded";
      if (isLeaseholdError(error) && isOfDependency[error.code] === false) return "excluded";
      if (excludeIf?.(error) === true) return "excluded";
      return failureIf === undefined || failureIf(error) || isTimeout(error) ? "failure" : "success";
    },
    ofValue: (value) => (failureIfResult?.(value) === true ? "failure" : "success"),
  };
}

/**
 * Whether the caller gave up. A signal that aborted because time was over says the opposite: the
 * dependency was too slow. Were that no verdict, a hanging dependency would never open its circuit.
 */
function isCancelled(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && !isTimeout(signal.reason);
}
