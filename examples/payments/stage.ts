import { MemoryStore } from "@leasehold/core/memory";
import { openPlace } from "../shared/open-place.ts";
import type { BackendName } from "../shared/options.ts";
import type { OpenPlace } from "../shared/place.ts";
import type { Crew, Job } from "./crew.ts";
import { embeddedCrew } from "./embedded-crew.ts";
import { processCrew } from "./process-crew.ts";

/** Replicas on a store. */
export interface Stage {
  readonly crew: Crew;
  /** What is played on, for the first line. */
  readonly setting: string;
  strike(): Promise<void>;
}

export async function buildStage(backend: BackendName, job: Job, url?: string): Promise<Stage> {
  if (backend === "memory") return memoryStage(job);
  return storeStage(await openPlace(backend, "payments", url), job);
}

function memoryStage(job: Job): Stage {
  const crew = embeddedCrew(new MemoryStore(), job);
  return {
    crew,
    setting: "two replicas in this one process; the kill is simulated",
    strike: () => crew.stop(),
  };
}

function storeStage(opened: OpenPlace, job: Job): Stage {
  const crew = processCrew(opened.place, job);
  return {
    crew,
    setting: `two replicas, each a process, on ${opened.where}`,
    strike: async () => {
      await crew.stop();
      await opened[Symbol.asyncDispose]();
    },
  };
}
