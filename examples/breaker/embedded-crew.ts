import { createCoordinator } from "@leasehold/core";
import { memoryBackend, type MemoryStore } from "@leasehold/core/memory";
import type { Crew, Job } from "./crew.ts";
import type { Dependency } from "./dependency.ts";
import { live } from "./node.ts";

/** Five nodes in this process, each with a coordinator and a backend of its own, over one store. */
export function embeddedCrew(store: MemoryStore, job: Job, dependency: Dependency): Crew {
  const dismissal = new AbortController();
  const { ttlMs } = job;
  const coordinators = job.nodes.map(() =>
    createCoordinator({ backend: memoryBackend({ store }), namespace: "breaker", ttlMs }),
  );
  return {
    start: async (report) => {
      const lives = job.nodes.map(async (node, index) => {
        const coordinator = coordinators[index];
        if (coordinator === undefined) throw new Error(`there is no ${node}`);
        await live({
          node,
          coordinator,
          job,
          call: () => dependency.call(node),
          signal: dismissal.signal,
          report: (event) => report(node, event),
        });
      });
      await Promise.all(lives);
    },
    dismiss: () => dismissal.abort(),
    stop: async () => {
      dismissal.abort();
      await Promise.all(coordinators.map((coordinator) => coordinator.close()));
    },
  };
}
