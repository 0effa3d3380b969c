import { hostname } from "node:os";

import { invalidArgument, type Coordinator, type Traits } from "@leasehold/core";

import { checkNumber, checkOptionalFunction, checkOptions, checkText } from "../base/arguments.ts";
import type { CircuitBreakerOptions } from "../circuit/circuit-breaker.ts";
import { readCircuitOptions, type CircuitSettings } from "../circuit/circuit-settings.ts";
import type { CircuitEvent } from "../base/events.ts";
import type { FleetEvent } from "./fleet-event.ts";
import type { QuorumOptions } from "./quorum.ts";

/**
 * Of the local breaker's options `openMs` and `halfOpen.probeTimeoutMs` hold for the shared circuit, too. It has one probe
 * at a time, whatever `halfOpen.calls` says.
 */
export interface SharedCircuitBreakerOptions extends Omit<CircuitBreakerOptions, "onEvent">, QuorumOptions {
  /**
   * Who this node is: a node has one vote, whatever it crashes and restarts. Default: host name and process id. Where a
   * process that comes back has another id, or a whole host is one node, say so here. At most 200 characters.
   */
  readonly node?: string;
  /** How long a node's vote, and a leader's word, outlive their process, in milliseconds. Default: the coordinator's ttl. */
  readonly ttlMs?: number;
  /** The longest time between two looks at the store while the circuit is not closed, in milliseconds. Default: 1,000. */
  readonly pollMs?: number;
  /**
   * For how long what is known of the fleet is believed without the store confirming it, in milliseconds; after that each
   * node's own breaker governs. More than `pollMs`. Default: 5,000.
   */
  readonly maxStalenessMs?: number;
  /** How long a leader without calls keeps the probe to itself while others stand, in milliseconds. Default: 1,000. */
  readonly probeWaitMs?: number;
  /**
   * What the circuit guards, where that may be a store: a client, a URL, a backend. Refused if it is the very store that
   * the coordinator stands on: a circuit whose state is lost together with its dependency is none.
   */
  readonly dependency?: unknown;
  readonly onEvent?: (event: CircuitEvent | FleetEvent) => void;
}

export interface SharedCircuitSettings extends Omit<CircuitSettings, "onEvent"> {
  readonly node: string;
  readonly quorum: QuorumOptions;
  readonly ttlMs: number | undefined;
  readonly pollMs: number;
  readonly maxStalenessMs: number;
  readonly probeWaitMs: number;
  readonly onEvent: ((event: CircuitEvent | FleetEvent) => void) | undefined;
}

/** Throws `INVALID_ARGUMENT`. */
export function readSharedOptions(
  coordinator: Coordinator,
  options: SharedCircuitBreakerOptions,
): SharedCircuitSettings {
  if (typeof coordinator?.livesOn !== "function")
    throw invalidArgument("coordinator must be what createCoordinator returns.");
  const circuit = readCircuitOptions(checkOptions("options", options));
  const {
    node = `${hostname()}:${process.pid}`,
    minimum = 2,
    share,
    nodes,
    ttlMs,
    pollMs = 1_000,
    maxStalenessMs = 5_000,
    probeWaitMs = 1_000,
    dependency,
    onEvent,
  } = options;
  if (dependency !== undefined && coordinator.livesOn(dependency))
    throw invalidArgument(
      `the circuit ${JSON.stringify(circuit.name)} cannot guard the very store that it lives in: ` +
        `when that store fails, so does what the nodes know of each other. Use circuitBreaker for it.`,
    );
  if (checkText("node", node).length > 200) throw invalidArgument("node must be at most 200 characters.");
  if (share !== undefined && nodes === undefined)
    throw invalidArgument("share needs nodes: a function that says how many nodes there are.");
  checkNumber("minimum", minimum, { atLeast: 1, whole: true });
  if (share !== undefined) checkNumber("share", share, { above: 0, atMost: 1 });
  checkOptionalFunction("nodes", nodes);
  if (ttlMs !== undefined) checkTtl(ttlMs, coordinator.traits);
  checkNumber("pollMs", pollMs, { above: 0 });
  checkNumber("maxStalenessMs", maxStalenessMs, { above: pollMs });
  checkNumber("probeWaitMs", probeWaitMs, { above: 0 });
  const quorum = { minimum, share, nodes };
  return { ...circuit, node, quorum, ttlMs, pollMs, maxStalenessMs, probeWaitMs, onEvent };
}

/** Now, and not when the first vote is refused for it. */
function checkTtl(ttlMs: number, { minTtlMs, ttlStepMs }: Traits): void {
  checkNumber("ttlMs", ttlMs, { atLeast: minTtlMs, whole: true });
  if (ttlMs % ttlStepMs !== 0)
    throw invalidArgument(`ttlMs must be a multiple of ${ttlStepMs} in this store; got ${ttlMs}.`);
}
