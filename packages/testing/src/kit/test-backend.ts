import type { Harness } from "./harness.ts";
import type { Case, Need } from "./case.ts";
import { announcementCases } from "./cases/announcements.ts";
import { crashCases } from "./cases/crash.ts";
import { electionCases } from "./cases/election.ts";
import { executionCases } from "./cases/execution.ts";
import { faultCases } from "./cases/faults.ts";
import { grantCases } from "./cases/grants.ts";
import { idempotencyCases } from "./cases/idempotency.ts";
import { lineCases } from "./cases/line.ts";
import { lockCases } from "./cases/lock.ts";
import { lookCases } from "./cases/looks.ts";
import { lossCases } from "./cases/loss.ts";
import { membershipCases } from "./cases/membership.ts";
import { nameCases } from "./cases/names.ts";
import { outageCases } from "./cases/outage.ts";
import { recordCases } from "./cases/records.ts";
import { semaphoreCases } from "./cases/semaphore.ts";
import { tidyCases } from "./cases/tidy.ts";
import { weightCases } from "./cases/weights.ts";
import { runCase } from "./run-case.ts";

/** The part of a test runner that the kit uses: vitest's, node:test's and mocha's fit. */
export interface Runner {
  describe: {
    (name: string, define: () => void): void;
    concurrent?(name: string, define: () => void): void;
  };
  it: {
    (name: string, run: () => Promise<void>): void;
    skip(name: string, run?: () => Promise<void>): void;
    concurrent?(name: string, run: () => Promise<void>): void;
  };
}

const groups: Readonly<Record<string, readonly Case[]>> = {
  line: lineCases,
  grants: grantCases,
  crash: crashCases,
  weights: weightCases,
  announcements: announcementCases,
  looks: lookCases,
  names: nameCases,
  lock: lockCases,
  semaphore: semaphoreCases,
  election: electionCases,
  membership: membershipCases,
  records: recordCases,
  idempotency: idempotencyCases,
  execution: executionCases,
  loss: lossCases,
  tidy: tidyCases,
  faults: faultCases,
  outage: outageCases,
};

/**
 * Runs the conformance kit on a backend: every promise of the contract, one case each. A case whose
 * sabotage the harness does not offer is skipped under a name that says why.
 *
 * @param name what is tested, for the report
 * @param runner `{ describe, it }` of the test runner; default: the global ones
 */
export function testBackend(
  name: string,
  harness: Harness,
  runner: Runner = globalThis as unknown as Runner,
): void {
  if (typeof runner.describe !== "function" || typeof runner.it !== "function")
    throw new Error("testBackend needs a test runner: pass { describe, it } of yours as its third argument.");
  const { describe, it } = runner;
  const define = (promise: Case): void => {
    const reason = whySkipped(promise, harness);
    const run = (): Promise<void> => runCase(promise, harness);
    if (reason !== null) it.skip(`${promise.name} [skipped: ${reason}]`, run);
    else if (isSociable(promise) && it.concurrent !== undefined) it.concurrent(promise.name, run);
    else it(promise.name, run);
  };
  const isSociable = ({ alone }: Case): boolean => harness.concurrent && alone !== true;
  describe(`${name} keeps the contract`, () => {
    // Most of a case is waiting for ttls, so those that bear company run beside each other, across
    // groups. Those that do not come after them.
    for (const sociable of [true, false])
      for (const [group, all] of Object.entries(groups)) {
        const cases = all.filter((promise) => isSociable(promise) === sociable);
        const fill = (): void => cases.forEach(define);
        if (cases.length === 0) continue;
        if (sociable && describe.concurrent !== undefined) describe.concurrent(group, fill);
        else describe(group, fill);
      }
  });
}

function whySkipped(promise: Case, harness: Harness): string | null {
  const exempt = harness.exempt?.[promise.name];
  if (exempt !== undefined) return exempt;
  const { store, openThroughLink } = harness;
  const offered: Record<Need, boolean> = {
    link: openThroughLink !== undefined,
    pushes: openThroughLink !== undefined,
    pause: store?.pause !== undefined && store.resume !== undefined,
    restart: store?.kill !== undefined && store.start !== undefined,
    flush: store?.flush !== undefined,
    deleteClaim: store?.deleteClaim !== undefined,
    leftovers: store?.leftovers !== undefined,
  };
  const missing = promise.needs?.find((need) => !offered[need]);
  return missing === undefined ? null : `the harness offers no "${missing}"`;
}
