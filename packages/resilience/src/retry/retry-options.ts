import {
  invalidArgument,
  isLeaseholdError,
  systemClock,
  systemRandom,
  type Clock,
  type Random,
} from "@leasehold/core";

import {
  checkDuration,
  checkFunction,
  checkOptionalFunction,
  checkNumber,
  checkOptions,
  checkText,
} from "../base/arguments.ts";
import { exponentialBackoff, type Backoff } from "./backoff.ts";
import type { RetryEvent } from "../base/events.ts";
import { isRetriedByDefault } from "./never-retried.ts";
import type { Failure } from "../base/policy.ts";
import type { RetryBudget } from "./retry-budget.ts";

export interface RetryOptions {
  /** For events. Low cardinality: the dependency's name, not a key's. Default: `retry`. */
  readonly name?: string;
  /** How often at most after the first call; Infinity is allowed. Default: 3, so 4 calls. */
  readonly maxRetries?: number;
  /** How long to wait before each retry. Default: `exponentialBackoff()`, from 100 ms, with full jitter. */
  readonly backoff?: Backoff;
  /** Which errors are worth another attempt. Default: all that may be (see `retry`) but `OUTCOME_UNKNOWN`. */
  readonly retryIf?: (error: unknown) => boolean;
  /** Which values are. Default: none. The last one is given back when there are no more retries. */
  readonly retryIfResult?: (value: unknown) => boolean;
  /**
   * How long the other side asks us to wait, in milliseconds, such as by a `Retry-After` header: the wait is at least that.
   * What is not a number of 0 or more says nothing. Default: the `retryAfterMs` of a `LeaseholdError`.
   */
  readonly retryAfter?: (failure: Failure) => number | null | undefined;
  /** No such wish counts for more than this, in milliseconds. Default: 30,000. */
  readonly maxRetryAfterMs?: number;
  /** How long all attempts and waits of a call may take together, in milliseconds. Default: no limit. */
  readonly deadlineMs?: number;
  /** How long one attempt may take, in milliseconds. Default: no limit. */
  readonly attemptTimeoutMs?: number;
  /** How many retries the dependency bears; shared by all who call it. Default: no limit. */
  readonly budget?: RetryBudget;
  readonly onEvent?: (event: RetryEvent) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** The options, complete and checked. */
export interface RetrySettings {
  readonly name: string;
  readonly maxRetries: number;
  readonly backoff: Backoff;
  readonly retryIf: (error: unknown) => boolean;
  readonly retryIfResult: ((value: unknown) => boolean) | undefined;
  readonly retryAfter: (failure: Failure) => number | null | undefined;
  readonly maxRetryAfterMs: number;
  readonly deadlineMs: number;
  readonly attemptTimeoutMs: number;
  readonly budget: RetryBudget | undefined;
  readonly onEvent: ((event: RetryEvent) => void) | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

/** Throws `INVALID_ARGUMENT`. */
export function readRetryOptions(options: RetryOptions): RetrySettings {
  const {
    name = "retry",
    maxRetries = 3,
    backoff = exponentialBackoff(),
    retryIf = isRetriedByDefault,
    retryIfResult,
    retryAfter = askedByError,
    maxRetryAfterMs = 30_000,
    deadlineMs = Infinity,
    attemptTimeoutMs = Infinity,
    budget,
    onEvent,
    clock = systemClock,
    random = systemRandom,
  } = checkOptions("options", options);
  checkText("name", name);
  checkNumber("maxRetries", maxRetries, { atLeast: 0, whole: true, infinite: true });
  checkFunction("backoff", backoff);
  checkFunction("retryIf", retryIf);
  checkOptionalFunction("retryIfResult", retryIfResult);
  checkFunction("retryAfter", retryAfter);
  checkDuration("maxRetryAfterMs", maxRetryAfterMs);
  for (const [what, value] of Object.entries({ deadlineMs, attemptTimeoutMs }))
    checkNumber(what, value, { above: 0, infinite: true });
  if (budget !== undefined && typeof checkOptions("budget", budget).withdraw !== "function")
    throw invalidArgument("budget must be what retryBudget() answers.");
  checkOptionalFunction("onEvent", onEvent);
  return {
    name,
    maxRetries,
    backoff,
    retryIf,
    retryIfResult,
    retryAfter,
    maxRetryAfterMs,
    deadlineMs,
    attemptTimeoutMs,
    budget,
    onEvent,
    clock,
    random,
  };
}

function askedByError(failure: Failure): number | undefined {
  return "error" in failure && isLeaseholdError(failure.error) ? failure.error.retryAfterMs : undefined;
}
