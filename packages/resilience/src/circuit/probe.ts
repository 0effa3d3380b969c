import type { Clock } from "@leasehold/core";

import type { PolicyContext } from "../base/policy.ts";
import { runWithin, TimeoutError } from "../base/time-limit.ts";

export interface ProbeOptions {
  readonly clock: Clock;
  /** How long it may take, in milliseconds. */
  readonly timeoutMs: number;
  /** The caller's: reaches `fn`, merged with the time limit. */
  readonly signal?: AbortSignal;
}

/**
 * Runs the call by which a circuit finds out whether its dependency is back. After `timeoutMs` its signal aborts, and it
 * rejects at once with a `TimeoutError`, even if `fn` ignores that: a probe that hangs must free its slot.
 */
export function probe<T>(
  fn: (context: PolicyContext) => PromiseLike<T> | T,
  { clock, timeoutMs, signal }: ProbeOptions,
): Promise<T> {
  const timeout = (): TimeoutError => new TimeoutError("probe", timeoutMs);
  return runWithin((merged) => fn({ signal: merged }), { clock, limitMs: timeoutMs, timeout, signal });
}
