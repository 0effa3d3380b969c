import type { Coordinator } from "@leasehold/core";
import type { Account } from "./account.ts";
import type { Crew, Job } from "./crew.ts";

/** A place to play on: a store with the account in it, workers, and somebody who only looks. */
export interface Stage {
  readonly crew: Crew;
  readonly account: Account;
  /** Looks at the line; takes no part in it. */
  readonly coordinator: Coordinator;
  /** What is played on, for the first line. */
  readonly setting: string;
  /** Ends the workers, removes what they left, stops the server if it is ours. */
  strike(): Promise<void>;
}

/** Builds a stage; `initial` is the balance that the account starts with. */
export type StageBuilder = (job: Job, initial: number, url?: string) => Promise<Stage>;
