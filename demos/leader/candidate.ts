import { sleep, type Leadership } from "@leasehold/core";
import type { Program } from "../shared/member.ts";
import { nowMs } from "../shared/now-ms.ts";

/** The election that all stand for. */
export const electionName = "scheduler";

/** What a candidate is told: to hand the leadership over, or to leave the election. */
export type CandidateMessage = "resign" | "leave";

/**
 * What a candidate tells. `atMs` is on the machine's monotonic clock, read right before the look.
 */
export interface CandidateEvent {
  /** "leads": it looked, and was the leader. */
  readonly kind: "elected" | "leads" | "stepped down";
  readonly term: bigint;
  readonly atMs: number;
}

/** Stands until it is told to leave; while it leads it schedules something every 20 ms. */
const candidate: Program<null, CandidateMessage, CandidateEvent> = {
  file: import.meta.filename,
  main: async ({ name, coordinator, clock, tell, listen }) => {
    const election = coordinator.election(electionName, { candidate: name, value: `http://${name}` });
    const left = new AbortController();
    let current: Leadership | undefined;
    listen((message) => {
      if (message === "leave") return left.abort();
      // Within the body it would have to be left floating as well: it waits for the body to end.
      current?.resign().catch(() => undefined);
    });
    await election.lead(
      async (leadership) => {
        const { term } = (current = leadership);
        tell({ kind: "elected", term, atMs: nowMs() });
        while (!leadership.signal.aborted) {
          const atMs = nowMs();
          if (leadership.isHeld()) tell({ kind: "leads", term, atMs });
          // Here a scheduler would do its work, and hand the term on to whatever it commands.
          await sleep(clock, 20, leadership.signal, { keepAlive: true });
        }
        tell({ kind: "stepped down", term, atMs: nowMs() });
      },
      { signal: left.signal, metadata: { name } },
    );
  },
};
export default candidate;
