import { createCoordinator, type Coordinator } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { openPlace } from "../shared/open-place.ts";
import type { BackendName } from "../shared/options.ts";
import type { OpenPlace } from "../shared/place.ts";
import { backendAt } from "../shared/backend-at.ts";
import type { Crew, Job } from "./crew.ts";
import { embeddedCrew } from "./embedded-crew.ts";
import { processCrew } from "./process-crew.ts";

/** Candidates on a store, and somebody who only looks. */
export interface Stage {
  readonly crew: Crew;
  /** Of the observer. */
  readonly coordinator: Coordinator;
  /** What is played on, for the first line. */
  readonly setting: string;
  strike(): Promise<void>;
}

export async function buildStage(backend: BackendName, job: Job, url?: string): Promise<Stage> {
  if (backend === "memory") return memoryStage(job);
  return storeStage(await openPlace(backend, "leader", url), job);
}

function memoryStage(job: Job): Stage {
  const store = new MemoryStore();
  const crew = embeddedCrew(store, job);
  const coordinator = createCoordinator({ backend: memoryBackend({ store }), namespace: "leader" });
  return {
    crew,
    coordinator,
    setting: "three coordinators in this one process; the kill is simulated",
    strike: async () => {
      await Promise.all([crew.stop(), coordinator.close()]);
    },
  };
}

async function storeStage(opened: OpenPlace, job: Job): Promise<Stage> {
  const { place, where } = opened;
  const crew = processCrew(place, job);
  const coordinator = createCoordinator({ backend: await backendAt(place), namespace: place.run });
  return {
    crew,
    coordinator,
    setting: `three processes on ${where}`,
    strike: async () => {
      await crew.stop();
      await coordinator.close();
      await opened[Symbol.asyncDispose]();
    },
  };
}
