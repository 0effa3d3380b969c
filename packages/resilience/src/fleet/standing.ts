import type { Line, Role } from "./quorum.ts";

/** While the circuit is open so many in line are enough to lead it in turn; votes beyond them have done their work. */
const longestLine = 8;
/** So many that did not vote are to stand behind those who did. */
const enoughStandbys = 2;

/** What decides whether a node stands in the circuit's line. */
export interface Standing {
  /** Whether the circuit is known to be open or half-open. */
  readonly governs: boolean;
  /** Whether the node's own breaker is open, and was opened lately enough to mean something. */
  readonly ails: boolean;
  /** Whether a call was refused here since the circuit opened: this node could probe. */
  readonly hasDemand: boolean;
  /** What it stands as now. */
  readonly role: Role | null;
  /** How many stand before it; -1 when it was not seen to stand. */
  readonly place: number;
  readonly line: Pick<Line, "owners" | "standbys">;
}

/**
 * As what a node stands from now on.
 *
 * While the circuit is closed a place in the line is a vote, and nothing else. While it is open votes are not counted any
 * more, and the line is who leads, and so probes, in turn. Were that only those who voted, then a few nodes to which alone
 * the dependency is lost, or which have no calls any more, would hold the circuit open for all the others. So a few of
 * those that have calls to make stand behind them; and a crowd that voted at once need not all stay.
 */
export function roleFor({ governs, ails, hasDemand, role, place, line }: Standing): Role | null {
  if (!governs) return ails ? "vote" : null;
  if (role === "standby" || (role === "vote" && place < longestLine)) return role;
  if (role !== null || !hasDemand) return null;
  if (ails && line.owners.length < longestLine) return "vote";
  return line.standbys < enoughStandbys ? "standby" : null;
}
