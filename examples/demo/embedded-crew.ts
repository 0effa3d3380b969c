import { createCoordinator, type Coordinator } from "@leasehold/core";
import { memoryBackend, type MemoryStore } from "@leasehold/core/memory";
import { StoppableClock } from "../shared/stoppable-clock.ts";
import type { Account } from "./account.ts";
import { accountName, type Crew, type Job } from "./crew.ts";
import { withdrawInTurn } from "./worker.ts";

interface Embedded {
  readonly clock: StoppableClock;
  readonly coordinator: Coordinator;
  goOn: () => void;
  dead: boolean;
}

/**
 * Six workers in this process, each with a coordinator, a backend and a clock of its own, over one store. A worker is killed
 * or frozen by stopping its clock and its code: it renews nothing and releases nothing, as a stopped process would not.
 */
export function embeddedCrew(store: MemoryStore, account: Account, job: Job): Crew {
  const crew = new Map<string, Embedded>();
  const find = (worker: string): Embedded => {
    const found = crew.get(worker);
    if (found === undefined) throw new Error(`there is no ${worker}`);
    return found;
  };
  return {
    words: {
      kill: "KILLED (simulated: its code and its timers stop for good)",
      freeze: "FROZEN (simulated: its code and its timers stop)",
      thaw: "thawed",
    },
    start: async (report) => {
      const ends = job.workers.map((worker) => {
        const clock = new StoppableClock();
        const backend = memoryBackend({ store, clock });
        const coordinator = createCoordinator({ backend, namespace: "demo", ttlMs: job.ttlMs });
        const { promise: killed, resolve: kill } = Promise.withResolvers<void>();
        const member: Embedded = { clock, coordinator, goOn: () => {}, dead: false };
        crew.set(worker, member);
        const work = (): Promise<void> =>
          new Promise((resolve) => {
            member.goOn = () => (member.dead ? kill() : resolve());
          });
        const finished = withdrawInTurn({
          ...job,
          worker,
          account,
          lock: coordinator.lock(accountName),
          report: (event) => report(worker, event),
          work,
        });
        return Promise.race([finished, killed]);
      });
      await Promise.all(ends);
    },
    goOn: (worker) => find(worker).goOn(),
    kill: (worker) => {
      const member = find(worker);
      member.dead = true;
      member.clock.stop();
      member.goOn();
    },
    freeze: (worker) => find(worker).clock.stop(),
    thaw: (worker) => {
      const { clock, goOn } = find(worker);
      clock.resume();
      goOn();
    },
    stop: async () => {
      const living = [...crew.values()].filter(({ dead }) => !dead);
      // A body that waits for its turn to go on, on a stopped clock, would keep its coordinator from closing.
      for (const { clock, goOn } of living) {
        clock.resume();
        goOn();
      }
      await Promise.all(living.map(({ coordinator }) => coordinator.close()));
    },
  };
}
