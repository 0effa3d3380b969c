import { createCoordinator, type Coordinator } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { backendAt } from "../shared/backend-at.ts";
import { openPlace } from "../shared/open-place.ts";
import type { BackendName } from "../shared/options.ts";
import type { OpenPlace } from "../shared/place.ts";
import type { Crew, Job } from "./crew.ts";
import { Dependency } from "./dependency.ts";
import { embeddedCrew } from "./embedded-crew.ts";
import { processCrew } from "./process-crew.ts";

/** Nodes on a store, what they call, and somebody who only looks. */
export interface Stage {
  readonly crew: Crew;
  readonly dependency: Dependency;
  /** Of one who only looks. */
  readonly coordinator: Coordinator;
  /** What is played on, for the first line. */
  readonly setting: string;
  strike(): Promise<void>;
}

export async function buildStage(backend: BackendName, job: Job, url?: string): Promise<Stage> {
  if (backend === "memory") return memoryStage(job);
  return storeStage(await openPlace(backend, "breaker", url), job);
}

function memoryStage(job: Job): Stage {
  const store = new MemoryStore();
  const dependency = new Dependency();
  const crew = embeddedCrew(store, job, dependency);
  const coordinator = createCoordinator({ backend: memoryBackend({ store }), namespace: "breaker" });
  return {
    crew,
    dependency,
    coordinator,
    setting: "five coordinators in this one process",
    strike: async () => {
      await Promise.all([crew.stop(), coordinator.close()]);
    },
  };
}

async function storeStage(opened: OpenPlace, job: Job): Promise<Stage> {
  const { place, where } = opened;
  const dependency = new Dependency();
  const listening = await dependency.listen();
  const crew = processCrew(place, job, listening.url);
  const coordinator = createCoordinator({ backend: await backendAt(place), namespace: place.run });
  return {
    crew,
    dependency,
    coordinator,
    setting: `five processes on ${where}`,
    strike: async () => {
      await crew.stop();
      await listening[Symbol.asyncDispose]();
      await coordinator.close();
      await opened[Symbol.asyncDispose]();
    },
  };
}
