import { sleep, type Clock, type Election, type Leadership } from "@leasehold/core";
import { nowMs } from "../shared/now-ms.ts";

/** The election that all stand for. */
export const electionName = "scheduler";

/** What a candidate tells. `atMs` is on the machine's monotonic clock, read right before the look. */
export interface CandidateEvent {
  /** "leads": it looked, and was the leader. */
  readonly kind: "elected" | "leads" | "stepped down";
  readonly term: bigint;
  readonly atMs: number;
}

export interface Candidacy {
  readonly candidate: string;
  readonly election: Election;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly report: (event: CandidateEvent) => void;
  /** Hands the leadership out, so that it can be told to resign. */
  readonly onLeading: (leadership: Leadership) => void;
}

/** Stands for as long as `signal` lets it; while it leads it schedules something every 20 ms. */
export async function stand(candidacy: Candidacy): Promise<void> {
  const { candidate, election, clock, signal, report, onLeading } = candidacy;
  await election.lead(
    async (leadership) => {
      const { term } = leadership;
      onLeading(leadership);
      report({ kind: "elected", term, atMs: nowMs() });
      while (!leadership.signal.aborted) {
        const atMs = nowMs();
        if (leadership.isHeld()) report({ kind: "leads", term, atMs });
        // Here a scheduler would do its work, and hand the term on to whatever it commands.
        await sleep(clock, 20, leadership.signal, { keepAlive: true });
      }
      report({ kind: "stepped down", term, atMs: nowMs() });
    },
    { signal, metadata: { candidate } },
  );
}
