import { invalidArgument, isLeaseholdError, systemClock, systemRandom } from "@leasehold/core";
import type { Clock, Random } from "@leasehold/core";

import {
  checkDuration,
  checkFunction,
  checkOptionalFunction,
  checkNumber,
  checkOptions,
  checkText,
} from "../base/arguments.ts";
import type { Failure } from "../base/policy.ts";
import { exponentialBackoff, type Backoff } from "./backoff.ts";
import { isRetriedByDefault } from "./never-retried.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { RetryEvent } from "./retry-outcome.ts";

export interface RetryOptions {
  /** For events. Low cardinality: the dependency's name, not a key's. Default: `retry`. */
  readonly name?: string;
  /** How often at most after the first call; Infinity is allowed. Default: 3, so 4 calls. */
  readonly maxRetries?: number;
  /** The wait before each retry. Default: `exponentialBackoff()`, from 100 ms, with full jitter. */
  readonly backoff?: Backoff;
  /** Which errors to retry. Default: all that may be (see `retry`) but `OUTCOME_UNKNOWN`. */
  readonly retryIf?: (error: unknown) => boolean;
  /** Which values to retry. Default: none. After the last retry the value is returned as it is. */
  readonly retryIfResult?: (value: unknown) => boolean;
  /**
   * How long the other side asks us to wait, in milliseconds, such as by a `Retry-After` header:
   * the wait is at least that. What is not a number of 0 or more is ignored. Default: the
   * `retryAfterMs` of a `LeaseholdError`.
   */
  readonly retryAfter?: (failure: Failure) => number | null | undefined;
  /** No such wish counts for more than this, in milliseconds. Default: 30,000. */
  readonly maxRetryAfterMs?: number;
  /** How long all attempts and waits may take together, in milliseconds. Default: no limit. */
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
export type RetrySettings = Required<Omit<RetryOptions, "retryIfResult" | "budget" | "onEvent">> &
  Pick<RetryOptions, "retryIfResult" | "budget" | "onEvent">;

/** Throws `INVALID_ARGUMENT`. */
export function readRetryOptions(options: RetryOptions): RetrySettings {
  const settings: RetrySettings = { ...defaults, ...given(checkOptions("options", options)) };
  const { maxRetries, deadlineMs, attemptTimeoutMs, budget } = settings;
  checkText("name", settings.name);
  checkNumber("maxRetries", maxRetries, { atLeast: 0, whole: true, infinite: true });
  checkFunction("backoff", settings.backoff);
  checkFunction("retryIf", settings.retryIf);
  checkOptionalFunction("retryIfResult", settings.retryIfResult);
  checkFunction("retryAfter", settings.retryAfter);
  checkDuration("maxRetryAfterMs", settings.maxRetryAfterMs);
  for (const [what, value] of Object.entries({ deadlineMs, attemptTimeoutMs }))
    checkNumber(what, value, { above: 0, infinite: true });
  if (budget !== undefined && typeof checkOptions("budget", budget).withdraw !== "function")
    throw invalidArgument("budget must be what retryBudget() answers.");
  checkOptionalFunction("onEvent", settings.onEvent);
  return settings;
}

const defaults = {
  name: "retry",
  maxRetries: 3,
  backoff: exponentialBackoff(),
  retryIf: isRetriedByDefault,
  retryAfter: (failure: Failure) =>
    "error" in failure && isLeaseholdError(failure.error) ? failure.error.retryAfterMs : undefined,
  maxRetryAfterMs: 30_000,
  deadlineMs: Infinity,
  attemptTimeoutMs: Infinity,
  clock: systemClock,
  random: systemRandom,
};

/** An option that is `undefined` was not given: its default counts. */
function given<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
