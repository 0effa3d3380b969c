import type { CircuitBreaker, CircuitBreakerOptions, CircuitEvent } from "../circuit/circuit-breaker.ts";
import type { Verdict } from "../circuit/verdict.ts";
import type { SharedState } from "./messages.ts";

/** How many nodes must have opened their local breaker before the circuit opens for all. */
export interface QuorumOptions {
  /** At least so many nodes. With 1, a single sick node opens the circuit for all. Default: 2. */
  readonly minimum?: number;
  /** At least this share of `nodes`, above 0 and at most 1; needs `nodes`. Default: 0.3 with it. */
  readonly share?: number;
  /**
   * How many nodes there are, such as the members of a membership. The leader asks when it counts
   * votes. While `nodes` throws, hangs or returns no number, votes are not counted, and the circuit
   * does not open for all.
   */
  readonly nodes?: () => number | Promise<number>;
}

/**
 * Do not guard the store that this breaker keeps its state in: when that store fails, the nodes
 * also lose what they know of each other. Use `circuitBreaker` for it.
 *
 * Of the local breaker's options, `openMs` and `halfOpen.probeTimeoutMs` also hold for the shared
 * circuit. It has one probe at a time, whatever `halfOpen.calls` says.
 */
export interface SharedCircuitBreakerOptions extends Omit<CircuitBreakerOptions, "onEvent">, QuorumOptions {
  /**
   * This node's name. A node has one vote, however often it crashes and restarts. Default: host
   * name and process id. Set it where a process comes back with another id, or where a whole host
   * is one node. At most 200 characters.
   */
  readonly node?: string;
  /** How long a vote or leadership outlives its process. Default: the coordinator's ttl. */
  readonly ttlMs?: number;
  /** At most so long between two looks at the store while not closed, in ms. Default: 1,000. */
  readonly pollMs?: number;
  /**
   * How long the fleet's last known state is believed without the store confirming it, in
   * milliseconds. After that each node's own breaker governs. More than `pollMs`. Default: 5,000.
   */
  readonly maxStalenessMs?: number;
  /** How long a leader without calls keeps the probe while others stand, in ms. Default: 1,000. */
  readonly probeWaitMs?: number;
  readonly onEvent?: (event: CircuitEvent | FleetEvent) => void;
}

/** What decides about calls: the node's own breaker, the fleet's open circuit, or an operator. */
export type GovernedBy = "local" | "shared" | "isolation";

/**
 * A circuit breaker for a whole fleet. The circuit opens for all nodes when enough of them found
 * the dependency failing, and closes for all when one probe of one node succeeded.
 *
 * Every node has a breaker of its own. That one governs alone while the fleet's circuit is closed,
 * and whenever the store cannot be reached: no call waits for the store, and none fails because of
 * it.
 */
export interface SharedCircuitBreaker extends CircuitBreaker, AsyncDisposable {
  /** Who this node is among the others. */
  readonly node: string;
  readonly governedBy: GovernedBy;
  /**
   * Holds the circuit open for the whole fleet until the result is disposed of, or this process has
   * been dead for a ttl; of several isolations, until the last one ends. It holds here at once, and
   * elsewhere within a push. Rejects when the store cannot be reached.
   */
  isolateFleet(reason: string): Promise<AsyncDisposable>;
  /**
   * Closes the circuit for the whole fleet: every vote is taken back, and every node forgets what
   * it has seen. Resolves after twice `pollMs`, when all nodes that could hear it have heard it.
   * Lifts no isolation. Rejects when the store cannot be reached.
   */
  resetFleet(): Promise<void>;
  /** Leaves the fleet: the node's own breaker goes on alone. Takes a second at most. */
  close(): Promise<void>;
}

/** Why a claim is in line: its node's local breaker opened, or the node only offers to probe. */
export type Role = "vote" | "standby";

/** `line`: the votes and the leader; `orders`: isolations and resets; `nodes`: the node count. */
export type Trouble = "line" | "orders" | "nodes";

interface FleetEventBase {
  /** The circuit's name. Low cardinality: fit for a metric's label. */
  readonly circuit: string;
  readonly node: string;
}

/**
 * What happened between the nodes of a shared circuit, as this node sees it. Published on the
 * channel `leasehold:circuit`, beside the `changed` and `rejected` of the node's own breaker.
 */
export type FleetEvent =
  /** This node stands in line: its breaker opened (`vote`), or it offers to probe (`standby`). */
  | (FleetEventBase & { readonly type: "voted"; readonly role: Role })
  /** It has left the line. */
  | (FleetEventBase & { readonly type: "withdrawn" })
  /** It leads from now on: it counts the votes, and probes. */
  | (FleetEventBase & { readonly type: "leading"; readonly term: bigint })
  /** It has learned of another state. `attempt`: how many times the circuit opened in a row. */
  | (FleetEventBase & {
      readonly type: "fleet-changed";
      readonly from: SharedState;
      readonly to: SharedState;
      readonly attempt: number;
      readonly reason: string;
    })
  /** It has probed. `fenced`: another node may lead by now, so the probe changes nothing. */
  | (FleetEventBase & {
      readonly type: "probed";
      readonly outcome: Verdict | "fenced";
      readonly term: bigint;
    })
  /**
   * The store does not answer, or holds what cannot be read, or `nodes` failed. Sent once until
   * `restored`. No call fails for it: each node's own breaker goes on.
   */
  | (FleetEventBase & { readonly type: "degraded"; readonly what: Trouble; readonly error: Error })
  | (FleetEventBase & { readonly type: "restored"; readonly what: Trouble });
