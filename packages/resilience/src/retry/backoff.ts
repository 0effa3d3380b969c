import { invalidArgument, type Random } from "@leasehold/core";

import { checkDuration, checkNumber, checkOptions } from "../base/arguments.ts";

export interface BackoffStep {
  /** Which wait it is: 1 before the first retry, or for a circuit's first opening. */
  readonly retry: number;
  /** What the backoff returned last, in milliseconds; 0 at first. */
  readonly previousMs: number;
  readonly random: Random;
}

/** How long to wait, in milliseconds. It keeps no state: one backoff serves any number of calls. */
export type Backoff = (step: BackoffStep) => number;

/** No wait. */
export function noBackoff(): Backoff {
  return () => 0;
}

/** The same wait each time. Clients that failed together come back together: jitter is better. */
export function constantBackoff(delayMs: number): Backoff {
  checkDuration("delayMs", delayMs);
  return () => delayMs;
}

export interface ExponentialBackoffOptions {
  /** The first wait before any jitter, in milliseconds. Default: 100. */
  readonly initialMs?: number;
  /** No wait is longer, in milliseconds. Default: 30,000. */
  readonly maxMs?: number;
  /** The growth of each wait. Default: 2. Not for `decorrelated`, which has a growth of its own. */
  readonly factor?: number;
  /** Default: `full`. */
  readonly jitter?: Jitter;
}

export type Jitter = "none" | "full" | "equal" | "decorrelated";

/**
 * Waits that grow. With `e = min(maxMs, initialMs * factor ^ (retry - 1))`, the jitters are those
 * of Marc Brooker's "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015):
 *
 * - `none`: e. The truncated binary exponential backoff of Ethernet (IEEE 802.3), without its
 *   randomness.
 * - `full`: random(0, e). "Full Jitter": it spreads a crowd the most; the AWS SDKs' choice.
 * - `equal`: e / 2 + random(0, e / 2). "Equal Jitter": never less than half. Also "half jitter".
 * - `decorrelated`: min(maxMs, random(initialMs, 3 * the previous wait)); the first one is
 *   random(initialMs, 3 * initialMs). "Decorrelated Jitter". (Polly and cockatiel use this name for
 *   another formula.)
 */
export function exponentialBackoff(options: ExponentialBackoffOptions = {}): Backoff {
  const { initialMs = 100, maxMs = 30_000, factor, jitter = "full" } = checkOptions("options", options);
  checkNumber("initialMs", initialMs, { above: 0 });
  checkNumber("maxMs", maxMs, { atLeast: initialMs });
  if (factor !== undefined) checkNumber("factor", factor, { atLeast: 1 });
  if (jitter === "decorrelated") {
    if (factor !== undefined)
      throw invalidArgument(
        "factor has no meaning with decorrelated jitter, which grows by threes: leave it out.",
      );
    return ({ previousMs, random }) => {
      const highMs = Math.max(initialMs, previousMs) * 3;
      return Math.min(maxMs, initialMs + random.fraction() * (highMs - initialMs));
    };
  }
  const growth = factor ?? 2;
  const plainMs = ({ retry }: BackoffStep): number => Math.min(maxMs, initialMs * growth ** (retry - 1));
  switch (jitter) {
    case "none":
      return plainMs;
    case "full":
      return (step) => plainMs(step) * step.random.fraction();
    case "equal":
      return (step) => (plainMs(step) / 2) * (1 + step.random.fraction());
    default:
      throw invalidArgument(
        `jitter must be "none", "full", "equal" or "decorrelated"; got ${String(jitter)}.`,
      );
  }
}

/** The next wait. Throws `INVALID_ARGUMENT` when a backoff of the caller's returns no duration. */
export function nextDelayMs(backoff: Backoff, step: BackoffStep): number {
  const delayMs = backoff(step);
  if (typeof delayMs === "number" && delayMs >= 0) return delayMs;
  throw invalidArgument(`a backoff must answer a number of 0 or more milliseconds; got ${String(delayMs)}.`);
}

/** For options that take a duration or a backoff. */
export function checkBackoff(what: string, value: Backoff | number): Backoff {
  if (typeof value === "number") return constantBackoff(checkNumber(what, value, { above: 0 }));
  if (typeof value !== "function")
    throw invalidArgument(`${what} must be milliseconds or a backoff; got ${String(value)}.`);
  return value;
}
