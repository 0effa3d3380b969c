import type { Fixture } from "./fixture.ts";

/** A sabotage that a case cannot do without. */
export type Need = "link" | "pushes" | "pause" | "restart" | "flush" | "deleteClaim" | "leftovers";

/** One promise of the contract, and the play that shows whether it is kept. */
export interface Case {
  /** The promise, as a sentence. */
  readonly name: string;
  readonly needs?: readonly Need[];
  /** The store as a whole is disturbed: nothing else may run meanwhile. */
  readonly alone?: boolean;
  run(fixture: Fixture): Promise<void>;
}
