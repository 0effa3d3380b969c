import type { CandidateEvent } from "./candidate.ts";

/** What every candidate is told. */
export interface Job {
  readonly candidates: readonly string[];
  readonly ttlMs: number;
}

/** The three candidates, however they are run. */
export interface Crew {
  /** How this crew kills, in the words of the timeline. */
  readonly killed: string;
  /** Starts them. The promise settles when all but the killed have ended, and rejects when one fails. */
  start(report: (candidate: string, event: CandidateEvent) => void): Promise<void>;
  kill(candidate: string): void;
  resign(candidate: string): void;
  /** They leave the election, and end. */
  dismiss(): void;
  /** Ends whatever still runs. */
  stop(): Promise<void>;
}
