/**
 * Checkers over the history of a run: what a guarded resource saw, and what clients believed. They
 * are pure functions over recorded facts, so that they can be run on the histories of any program,
 * and be tested on histories known to be bad.
 */

/** One attempt at a fenced resource, recorded by the resource itself. */
export interface FencedAttempt {
  readonly token: bigint;
  readonly accepted: boolean;
}

/** An accepted attempt whose token was below one that the resource had accepted before. */
export interface StaleAcceptance {
  /** Its place in the history, from 0. */
  readonly index: number;
  readonly token: bigint;
  /** The highest token accepted before it. */
  readonly highest: bigint;
}

export interface FencedExclusion {
  readonly accepted: number;
  readonly refused: number;
  /**
   * Refused although its token was not below the highest accepted: a guard that turns rightful
   * holders away.
   */
  readonly wronglyRefused: number;
  /** Empty when the resource was exclusive. */
  readonly violations: readonly StaleAcceptance[];
}

/**
 * Fenced exclusion: accepted attempts, in the order in which the resource took them, never go back
 * to a lower token. So the attempts of each token are contiguous as well: nobody else's came
 * between. Holds under every fault, or the guard, not the lock, is broken.
 */
export function checkFencedExclusion(attempts: Iterable<FencedAttempt>): FencedExclusion {
  const violations: StaleAcceptance[] = [];
  let highest: bigint | null = null;
  let index = 0;
  let accepted = 0;
  let wronglyRefused = 0;
  for (const attempt of attempts) {
    const stale = highest !== null && attempt.token < highest;
    if (attempt.accepted) accepted += 1;
    else if (!stale) wronglyRefused += 1;
    if (attempt.accepted && highest !== null && stale)
      violations.push({ index, token: attempt.token, highest });
    if (attempt.accepted && !stale) highest = attempt.token;
    index += 1;
  }
  return { accepted, refused: index - accepted, wronglyRefused, violations };
}

/**
 * One look at a lease that said "held". Read the clock *before* the look: a lease that is held at
 * the look was held at the reading, while a pause between a look and a later reading would report
 * an overlap that never was.
 */
export interface PointClaim {
  readonly token: bigint;
  /**
   * On one clock for all clients: `process.hrtime.bigint()` serves every process of one machine.
   */
  readonly atNs: bigint;
}

export interface Overlap {
  readonly tokens: readonly [bigint, bigint];
  readonly lengthNs: bigint;
}

export interface OverlapReport {
  /** How many tokens were believed at all. */
  readonly tokens: number;
  /** Pairs of tokens believed at once. */
  readonly overlaps: number;
  /** The longest of them; null when there was none. */
  readonly longest: Overlap | null;
}

/**
 * Overlap of a lock (capacity 1), without any fencing: pairs of leases that were believed at once.
 * A lease that is lost stays lost, so one that was held at its first and at its last point was held
 * all the time between. A lower bound: beliefs that nobody looked at are not seen.
 */
export function findOverlaps(claims: Iterable<PointClaim>): OverlapReport {
  const spans = new Map<bigint, { token: bigint; firstNs: bigint; lastNs: bigint }>();
  for (const { token, atNs } of claims) {
    const span = spans.get(token);
    if (span === undefined) spans.set(token, { token, firstNs: atNs, lastNs: atNs });
    else if (atNs < span.firstNs) span.firstNs = atNs;
    else if (atNs > span.lastNs) span.lastNs = atNs;
  }
  const ordered = [...spans.values()].toSorted((a, b) => compare(a.firstNs, b.firstNs));
  let overlaps = 0;
  let longest: Overlap | null = null;
  let open: typeof ordered = [];
  for (const span of ordered) {
    open = open.filter((earlier) => earlier.lastNs >= span.firstNs);
    for (const earlier of open) {
      overlaps += 1;
      const endNs = earlier.lastNs < span.lastNs ? earlier.lastNs : span.lastNs;
      const lengthNs = endNs - span.firstNs;
      if (longest === null || lengthNs > longest.lengthNs)
        longest = { tokens: [earlier.token, span.token], lengthNs };
    }
    open.push(span);
  }
  return { tokens: spans.size, overlaps, longest };
}

/** A token that is not above every one granted before it. */
export interface TokenRegression {
  /** Its place in grant order, from 0. */
  readonly index: number;
  readonly token: bigint;
  /** The highest token granted before it; equal to `token` when it was granted twice. */
  readonly highest: bigint;
}

/**
 * Tokens in grant order must be unique and strictly increase, over every restart, flush and
 * failover. Empty when they do.
 */
export function checkTokenOrder(tokensInGrantOrder: Iterable<bigint>): readonly TokenRegression[] {
  const regressions: TokenRegression[] = [];
  let highest: bigint | null = null;
  let index = 0;
  for (const token of tokensInGrantOrder) {
    if (highest !== null && token <= highest) regressions.push({ index, token, highest });
    else highest = token;
    index += 1;
  }
  return regressions;
}

/**
 * Jain's fairness index of what each worker got: 1 when all got the same, 1/n when one of n got
 * everything. Workers that got nothing must be in the list as 0. Throws a `RangeError` when the
 * list is empty, or nobody got anything: a run without grants proves no fairness.
 */
export function jainIndex(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const sumOfSquares = shares.reduce((total, share) => total + share * share, 0);
  if (sumOfSquares === 0) throw new RangeError("jainIndex needs at least one worker that got something.");
  return (sum * sum) / (shares.length * sumOfSquares);
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
