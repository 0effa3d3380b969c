import type { Coordinator } from "@leasehold/core";

import type { CircuitBreaker } from "../circuit/circuit-breaker.ts";
import { FleetCircuitBreaker } from "./fleet-circuit-breaker.ts";
import { readSharedOptions, type SharedCircuitBreakerOptions } from "./shared-circuit-options.ts";

/** Whose word decides about calls: the node's own breaker, the fleet's circuit while that is not closed, or an operator. */
export type GovernedBy = "local" | "shared" | "isolation";

/**
 * A circuit breaker whose circuit opens for a whole fleet when enough of its nodes found the dependency failing, and closes
 * for all of them when one probe of one node succeeded.
 *
 * Every node has a breaker of its own, which governs alone while the fleet's circuit is closed, and whenever the store
 * cannot be reached: no call waits for the store, and none fails because of it.
 */
export interface SharedCircuitBreaker extends CircuitBreaker, AsyncDisposable {
  /** Who this node is among the others. */
  readonly node: string;
  readonly governedBy: GovernedBy;
  /**
   * Holds the circuit open for the whole fleet until what it returns is disposed of, or this process has been dead for a
   * ttl; of several, until the last one is. Here at once, elsewhere within a push. Rejects when the store cannot be reached.
   */
  isolateFleet(reason: string): Promise<AsyncDisposable>;
  /**
   * Closes the circuit for the whole fleet: every vote is taken back, and every node forgets what it has seen. Resolves when
   * all who could hear it have heard it, after twice `pollMs`. Lifts no isolation. Rejects when the store cannot be reached.
   */
  resetFleet(): Promise<void>;
  /** Leaves the fleet: the node's own breaker goes on alone. Within a second, whatever the store does. */
  close(): Promise<void>;
}

/**
 * Throws `INVALID_ARGUMENT`; also for a `dependency` that is the coordinator's own store. Close it, or its coordinator: it
 * observes until then, and that keeps the process alive.
 */
export function sharedCircuitBreaker(
  coordinator: Coordinator,
  options: SharedCircuitBreakerOptions,
): SharedCircuitBreaker {
  return new FleetCircuitBreaker(coordinator, readSharedOptions(coordinator, options));
}
