import { within, type Clock, type Inspection } from "@leasehold/core";

import type { QuorumOptions, Role } from "./shared-circuit-breaker.ts";

/**
 * The circuit's line: the claims of an election. While the circuit is closed a place in it is a
 * vote. While it is open, those in line lead the circuit in turn, and so probe.
 */
export interface Line {
  /** Nodes that vote, each once. */
  readonly votes: number;
  /** Claims of nodes that only offer to probe. */
  readonly standbys: number;
  /** Owners of all claims, in order: the first leads. */
  readonly owners: readonly string[];
  /** Their nodes, in the same order, by the names that they gave themselves. */
  readonly nodes: readonly string[];
}

/**
 * Counts each node once. A node that crashed and came back stands twice until its old claim's ttl
 * has passed, and is still one node. Evicted claims have no vote.
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

/** A leader waits no longer for `nodes()`. */
const countTimeoutMs = 5_000;

export interface Quorum {
  readonly needed: number;
  /** Undefined where the quorum does not depend on the fleet's size. */
  readonly nodes: number | undefined;
}

/** How many votes are needed now. Rejects when `nodes` does not say how many nodes there are. */
export async function quorumOf(
  { minimum = 2, share = 0.3, nodes }: QuorumOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<Quorum> {
  if (nodes === undefined) return { needed: minimum, nodes: undefined };
  const counting: Promise<unknown> = (async () => nodes())();
  const count = await within(counting, { clock, limitMs: countTimeoutMs, signal }, () => {
    throw new Error(`nodes() has not answered within ${countTimeoutMs} ms`);
  });
  if (typeof count !== "number" || !Number.isFinite(count) || count < 0)
    throw new Error(`nodes() must answer with a number of nodes; it said ${String(count)}`);
  // Of 10 nodes 0.3 are 3, also where floating point says 3.0000000000000004.
  return { needed: Math.max(minimum, Math.ceil(share * count - 1e-9)), nodes: count };
}

/** While the circuit is open, so many in line are enough to lead it in turn. */
const longestLine = 8;
/** So many nodes that did not vote are to stand behind those that did. */
const enoughStandbys = 2;

/** What decides whether a node stands in the circuit's line. */
export interface Standing {
  /** Whether the circuit is known to be open or half-open. */
  readonly governs: boolean;
  /** Whether the node's own breaker is open, and opened recently enough to be worth a vote. */
  readonly ails: boolean;
  /** Whether a call was refused here since the circuit opened: this node could probe. */
  readonly hasDemand: boolean;
  /** The role in which the node stands now. */
  readonly role: Role | null;
  /** How many claims stand before the node's; -1 when the last look did not show its claim. */
  readonly place: number;
  readonly line: Pick<Line, "owners" | "standbys">;
}

/**
 * The role in which a node stands from now on.
 *
 * While the circuit is open, votes are not counted any more. If only those nodes could probe that
 * voted, then a few nodes for which alone the dependency is lost, or which have no calls any more,
 * would hold the circuit open for all others. So a few of the nodes that have calls to make stand
 * behind the voters. And of a crowd that voted at once, not all need to stay.
 */
export function roleFor({ governs, ails, hasDemand, role, place, line }: Standing): Role | null {
  if (!governs) return ails ? "vote" : null;
  if (role === "standby" || (role === "vote" && place < longestLine)) return role;
  if (role !== null || !hasDemand) return null;
  if (ails && line.owners.length < longestLine) return "vote";
  return line.standbys < enoughStandbys ? "standby" : null;
}
