import type { HttpEvent } from "@leasehold/http";

/** What every replica is told. */
export interface Job {
  readonly shops: readonly string[];
  readonly leaseMs: number;
}

/** The replicas of the service, however they are run. */
export interface Crew {
  /** How this crew kills, in the words of the timeline. */
  readonly killed: string;
  /** Starts them; resolves with the port of each. */
  start(bankUrl: string, report: (shop: string, event: HttpEvent) => void): Promise<readonly number[]>;
  kill(shop: string): void;
  /** Rejects when one ends that was not killed. */
  readonly failed: Promise<never>;
  /** Ends whatever still runs. */
  stop(): Promise<void>;
}
