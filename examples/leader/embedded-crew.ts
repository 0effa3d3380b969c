import { createCoordinator, type Coordinator, type Leadership } from "@leasehold/core";
import { memoryBackend, type MemoryStore } from "@leasehold/core/memory";
import { StoppableClock } from "../shared/stoppable-clock.ts";
import { electionName, stand } from "./candidate.ts";
import type { Crew, Job } from "./crew.ts";

interface Embedded {
  readonly clock: StoppableClock;
  readonly coordinator: Coordinator;
  readonly killed: PromiseWithResolvers<void>;
  leadership?: Leadership;
  dead: boolean;
}

/**
 * Three candidates in this process, each with a coordinator, a backend and a clock of its own, over one store. One is killed
 * by stopping its clock for good: it does no work, renews nothing and releases nothing, as a killed process would not.
 */
export function embeddedCrew(store: MemoryStore, { candidates, ttlMs }: Job): Crew {
  const crew = new Map<string, Embedded>();
  const dismissal = new AbortController();
  const find = (candidate: string): Embedded => {
    const found = crew.get(candidate);
    if (found === undefined) throw new Error(`there is no ${candidate}`);
    return found;
  };
  return {
    killed: "KILLED (simulated: its clock stops for good)",
    start: async (report) => {
      const ends = candidates.map((candidate) => {
        const clock = new StoppableClock();
        const backend = memoryBackend({ store, clock });
        const coordinator = createCoordinator({ backend, namespace: "leader", ttlMs });
        const killed = Promise.withResolvers<void>();
        const member: Embedded = { clock, coordinator, killed, dead: false };
        crew.set(candidate, member);
        const candidacy = stand({
          candidate,
          election: coordinator.election(electionName, { candidate, value: `http://${candidate}` }),
          clock,
          signal: dismissal.signal,
          report: (event) => {
            if (!member.dead) report(candidate, event);
          },
          onLeading: (leadership) => (member.leadership = leadership),
        });
        return Promise.race([candidacy, killed.promise]);
      });
      await Promise.all(ends);
    },
    kill: (candidate) => {
      const member = find(candidate);
      member.dead = true;
      member.clock.stop();
      member.killed.resolve();
    },
    resign: (candidate) => {
      find(candidate)
        .leadership?.resign()
        .catch(() => undefined);
    },
    dismiss: () => dismissal.abort(),
    stop: async () => {
      dismissal.abort();
      const living = [...crew.values()].filter(({ dead }) => !dead);
      await Promise.all(living.map(({ coordinator }) => coordinator.close()));
    },
  };
}
