/** One look at a lease that said "held", and how many permits it is for. */
export interface WeightedClaim {
  readonly token: bigint;
  readonly weight: number;
  /** On `process.hrtime.bigint()`, read right before the look. */
  readonly atNs: bigint;
}

export interface Peak {
  /** How many leases were believed at all. */
  readonly tokens: number;
  /** The largest sum of weights believed at one moment. */
  readonly weight: number;
}

/**
 * The most permits that were believed held at once. A lease that is lost stays lost, so one that
 * was held at its first look and at its last was held all the time between.
 */
export function peakOf(claims: Iterable<WeightedClaim>): Peak {
  const spans = new Map<bigint, { weight: number; firstNs: bigint; lastNs: bigint }>();
  for (const { token, weight, atNs } of claims) {
    const span = spans.get(token);
    if (span === undefined) spans.set(token, { weight, firstNs: atNs, lastNs: atNs });
    else if (atNs < span.firstNs) span.firstNs = atNs;
    else if (atNs > span.lastNs) span.lastNs = atNs;
  }
  const edges = [...spans.values()].flatMap(({ weight, firstNs, lastNs }) => [
    { atNs: firstNs, change: weight },
    { atNs: lastNs, change: -weight },
  ]);
  // Who ends in the nanosecond in which another begins was held beside it.
  edges.sort((a, b) => (a.atNs === b.atNs ? b.change - a.change : a.atNs < b.atNs ? -1 : 1));
  let held = 0;
  let peak = 0;
  for (const { change } of edges) {
    held += change;
    peak = Math.max(peak, held);
  }
  return { tokens: spans.size, weight: peak };
}
