import type { Case } from "./case.ts";
import { Fixture } from "./fixture.ts";
import type { Harness } from "./harness.ts";

const runsAtMost = 3;

/** Plays a case, and again if it failed in a run that the machine spoilt. */
export async function runCase(promise: Case, harness: Harness): Promise<void> {
  for (let run = 1; ; run += 1) {
    const sinceNs = process.hrtime.bigint();
    try {
      return await playOnce(promise, harness);
    } catch (error) {
      const stalledMs = harness.stalledMs?.(sinceNs) ?? 0;
      if (stalledMs <= harness.ttlMs / 10 || run === runsAtMost) throw error;
      console.warn(
        `stalled past use: ${Math.round(stalledMs)} ms without a turn, at a ttl of ${harness.ttlMs} ms; ` +
          `run ${run} of ${runsAtMost} of "${promise.name}" proves nothing (${String(error)})`,
      );
    }
  }
}

async function playOnce(promise: Case, harness: Harness): Promise<void> {
  const fixture = new Fixture(harness);
  try {
    await promise.run(fixture);
  } catch (error) {
    fixture.calls.abandon();
    throw error;
  } finally {
    await fixture.tearDown();
  }
  fixture.calls.end();
}
