import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { endOf, startChild, stopChild } from "../shared/child-process.ts";
import type { Place } from "../shared/place.ts";
import type { CandidateEvent } from "./candidate.ts";
import type { Crew, Job } from "./crew.ts";

/** What a candidate's process is started with. */
export interface CandidateOrders {
  readonly candidate: string;
  readonly place: Place;
  readonly ttlMs: number;
}

/** From us to a candidate. */
export type CrewMessage = "resign" | "end";

const program = join(import.meta.dirname, "candidate-process.ts");

/** Three processes on one store. */
export function processCrew(place: Place, { candidates, ttlMs }: Job): Crew {
  const children = new Map<string, ChildProcess>();
  const killed = new Set<string>();
  // One that cannot be told has ended, and its end is reported by its exit.
  const say = (candidate: string, message: CrewMessage): void => {
    children.get(candidate)?.send(message, () => undefined);
  };
  return {
    killed: "KILLED (SIGKILL)",
    start: async (report) => {
      const ends = candidates.map((candidate) => {
        const child = startChild(program, { candidate, place, ttlMs } satisfies CandidateOrders);
        children.set(candidate, child);
        child.on("message", (event: CandidateEvent) => report(candidate, event));
        return endOf(candidate, child, () => killed.has(candidate));
      });
      await Promise.all(ends);
    },
    kill: (candidate) => {
      killed.add(candidate);
      children.get(candidate)?.kill("SIGKILL");
    },
    resign: (candidate) => say(candidate, "resign"),
    dismiss: () => {
      for (const candidate of children.keys()) if (!killed.has(candidate)) say(candidate, "end");
    },
    stop: async () => {
      await Promise.all([...children.values()].map(stopChild));
    },
  };
}
