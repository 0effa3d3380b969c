import { sleep, type Clock, type Inspection } from "@leasehold/core";

/** How many nodes must have opened their local breaker before the circuit opens for all. */
export interface QuorumOptions {
  /**
   * At least so many, whatever the size of the fleet. With 1, a single sick node opens the circuit for everybody.
   * Default: 2.
   */
  readonly minimum?: number;
  /** At least this share of `nodes`, above 0 and at most 1; needs `nodes`. Default: 0.3 with `nodes`. */
  readonly share?: number;
  /**
   * How many nodes there are, such as the members of a membership. Asked by the leader when it counts votes. While it
   * throws, hangs or answers with no number, votes are not counted, and the circuit does not open for all.
   */
  readonly nodes?: () => number | Promise<number>;
}

/** Why a claim stands in the circuit's line: its node's local breaker opened, or the node only offers to probe. */
export type Role = "vote" | "standby";

/** The circuit's line, as one look showed it. */
export interface Line {
  /** Nodes that vote, each once. */
  readonly votes: number;
  /** Claims of nodes that only offer to probe. */
  readonly standbys: number;
  /** Owners of all claims, in order: the first leads. */
  readonly owners: readonly string[];
  /** Their nodes, in the same order, as they say themselves. */
  readonly nodes: readonly string[];
}

/**
 * Counts each node once: one that crashed and came back stands twice until its old claim's ttl has passed, and is still one
 * node. Evicted claims have no vote.
 */
export function lineOf({ holders, line }: Inspection): Line {
  const claims = [...holders, ...line];
  const roles = claims.map(({ origin, evicted }) => (evicted ? undefined : origin?.metadata["role"]));
  const voters = claims.flatMap(({ origin }, index) => (roles[index] === "vote" ? [origin?.candidate] : []));
  return {
    votes: new Set(voters).size,
    standbys: roles.filter((role) => role === "standby").length,
    owners: claims.map(({ owner }) => owner),
    nodes: claims.map(({ origin }) => origin?.candidate ?? ""),
  };
}

/** A count of nodes that is not there by then is not waited for. */
const countTimeoutMs = 5_000;

export interface Quorum {
  readonly needed: number;
  /** Undefined where the fleet's size is nobody's business. */
  readonly nodes: number | undefined;
}

/** How many votes are needed now. Rejects when `nodes` does not say how many there are. */
export async function quorumOf(
  { minimum = 2, share = 0.3, nodes }: QuorumOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<Quorum> {
  if (nodes === undefined) return { needed: minimum, nodes: undefined };
  const done = new AbortController();
  const late = sleep(clock, countTimeoutMs, AbortSignal.any([done.signal, signal])).then(() => {
    throw new Error(`nodes() has not answered within ${countTimeoutMs} ms`);
  });
  // Whoever loses the race must not become an unhandled rejection.
  late.catch(() => undefined);
  try {
    const count: unknown = await Promise.race([(async () => nodes())(), late]);
    if (typeof count !== "number" || !Number.isFinite(count) || count < 0)
      throw new Error(`nodes() must answer with a number of nodes; it said ${String(count)}`);
    // Of 10 nodes 0.3 are 3, also where floating point says 3.0000000000000004.
    return { needed: Math.max(minimum, Math.ceil(share * count - 1e-9)), nodes: count };
  } finally {
    done.abort();
  }
}
