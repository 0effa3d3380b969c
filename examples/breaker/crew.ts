import type { NodeEvent } from "./node.ts";

/** What every node is told. */
export interface Job {
  readonly nodes: readonly string[];
  /** Of them, which share must have found the dependency failing. */
  readonly share: number;
  readonly ttlMs: number;
  readonly pollMs: number;
  /** How long the circuit stays open the first time; longer by as much each time that a probe fails. */
  readonly openMs: number;
}

/** The five nodes, however they are run. */
export interface Crew {
  /** Starts them. The promise settles when all have ended, and rejects when one fails. */
  start(report: (node: string, event: NodeEvent) => void): Promise<void>;
  /** They leave the fleet, and end. */
  dismiss(): void;
  /** Ends whatever still runs. */
  stop(): Promise<void>;
}
