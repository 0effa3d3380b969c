import type { Coordinator, Election } from "@leasehold/core";

import type { FleetEvent, Trouble } from "./shared-circuit-breaker.ts";
import type { SharedCircuitSettings } from "./shared-circuit-settings.ts";

/** An event as its place of origin knows it. The breaker adds the circuit and the node. */
export type LocalEvent<E = FleetEvent> = E extends FleetEvent ? Omit<E, "circuit" | "node"> : never;

/** What all parts of one node's end of a shared circuit need. */
export interface FleetContext {
  readonly coordinator: Coordinator;
  readonly settings: SharedCircuitSettings;
  /** Its line is the circuit's. */
  readonly election: Election;
  readonly health: Health;
  /** Aborts when the breaker closes. */
  readonly closing: AbortSignal;
  readonly emit: (event: LocalEvent) => void;
  /** Whether a push that got lost would matter: the circuit is not closed, or the store failed. */
  readonly isAlert: () => boolean;
}

/** Remembers what is in trouble, so that an outage is told once, and its end once. */
export class Health {
  readonly #troubles = new Set<Trouble>();
  readonly #emit: (event: LocalEvent) => void;

  constructor(emit: (event: LocalEvent) => void) {
    this.#emit = emit;
  }

  get isWell(): boolean {
    return this.#troubles.size === 0;
  }

  failed(what: Trouble, error: unknown): void {
    if (this.#troubles.has(what)) return;
    this.#troubles.add(what);
    this.#emit({ type: "degraded", what, error: error instanceof Error ? error : new Error(String(error)) });
  }

  restored(what: Trouble): void {
    if (this.#troubles.delete(what)) this.#emit({ type: "restored", what });
  }
}
