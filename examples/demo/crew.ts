import type { WorkerEvent } from "./worker.ts";

/** What every worker is told. */
export interface Job {
  readonly workers: readonly string[];
  readonly amount: number;
  readonly withdrawals: number;
  readonly ttlMs: number;
}

/** The lock's name and the account's, in every store. */
export const accountName = "account:7";

/** The six workers, however they are run. */
export interface Crew {
  /** How this crew does what the demo asks for, in the words of the timeline. */
  readonly words: { readonly kill: string; readonly freeze: string; readonly thaw: string };
  /** Starts the workers. The promise settles when all but the killed have finished, and rejects when one fails. */
  start(report: (worker: string, event: WorkerEvent) => void): Promise<void>;
  /** Lets a worker go on from its work to its write. */
  goOn(worker: string): void;
  kill(worker: string): void;
  freeze(worker: string): void;
  /** Ends `freeze`; the worker goes on to its write. */
  thaw(worker: string): void;
  /** Ends whatever still runs. */
  stop(): Promise<void>;
}
