import { hostname } from "node:os";

import { invalidArgument, type Coordinator } from "@leasehold/core";

import { checkNumber, checkOptionalFunction, checkOptions, checkText } from "../base/arguments.ts";
import { readCircuitOptions, type CircuitSettings } from "../circuit/circuit-settings.ts";
import type { QuorumOptions, SharedCircuitBreakerOptions } from "./shared-circuit-breaker.ts";

type Own = "node" | "pollMs" | "maxStalenessMs" | "probeWaitMs";

/** The options of a shared circuit, complete and checked. */
export interface SharedCircuitSettings
  extends
    Omit<CircuitSettings, "onEvent">,
    Required<Pick<SharedCircuitBreakerOptions, Own>>,
    Pick<SharedCircuitBreakerOptions, "ttlMs"> {
  readonly quorum: QuorumOptions;
  readonly onEvent: SharedCircuitBreakerOptions["onEvent"];
}

/** Throws `INVALID_ARGUMENT`. */
export function readSharedOptions(
  coordinator: Coordinator,
  options: SharedCircuitBreakerOptions,
): SharedCircuitSettings {
  if (typeof coordinator?.election !== "function")
    throw invalidArgument("coordinator must be what createCoordinator returns.");
  const circuit = readCircuitOptions(checkOptions("options", options));
  const { node = `${hostname()}:${process.pid}`, minimum = 2, share, nodes, ttlMs, onEvent } = options;
  const { pollMs = 1_000, maxStalenessMs = 5_000, probeWaitMs = 1_000 } = options;
  if (checkText("node", node).length > 200) throw invalidArgument("node must be at most 200 characters.");
  if (share !== undefined && nodes === undefined)
    throw invalidArgument("share needs nodes: a function that says how many nodes there are.");
  checkNumber("minimum", minimum, { atLeast: 1, whole: true });
  if (share !== undefined) checkNumber("share", share, { above: 0, atMost: 1 });
  checkOptionalFunction("nodes", nodes);
  if (ttlMs !== undefined) {
    // Checked now, and not when the store refuses the first vote for it.
    const { minTtlMs, ttlStepMs } = coordinator.traits;
    checkNumber("ttlMs", ttlMs, { atLeast: minTtlMs, whole: true });
    if (ttlMs % ttlStepMs !== 0)
      throw invalidArgument(`ttlMs must be a multiple of ${ttlStepMs} in this store; got ${ttlMs}.`);
  }
  checkNumber("pollMs", pollMs, { above: 0 });
  checkNumber("maxStalenessMs", maxStalenessMs, { above: pollMs });
  checkNumber("probeWaitMs", probeWaitMs, { above: 0 });
  const quorum = { minimum, share, nodes };
  return { ...circuit, node, quorum, ttlMs, pollMs, maxStalenessMs, probeWaitMs, onEvent };
}
