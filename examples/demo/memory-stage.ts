import { createCoordinator } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { memoryAccount } from "./account.ts";
import { embeddedCrew } from "./embedded-crew.ts";
import type { StageBuilder } from "./stage.ts";

/** Everything in this process. */
export const memoryStage: StageBuilder = async (job, initial) => {
  const store = new MemoryStore();
  const account = memoryAccount(initial);
  const crew = embeddedCrew(store, account, job);
  const coordinator = createCoordinator({ backend: memoryBackend({ store }), namespace: "demo" });
  return {
    crew,
    account,
    coordinator,
    setting: "six workers in this process; kill and freeze are simulated",
    strike: async () => {
      await Promise.all([crew.stop(), coordinator.close()]);
    },
  };
};
