import { createCoordinator, type Backend } from "@leasehold/core";
import type { Contender } from "./measure.ts";

/** How many workers hand the lock around. */
export const workerCount = 8;

/** The lock, on as many connections as there are workers. */
export function ourLock(open: () => Backend, run: string): Contender & { close(): Promise<void> } {
  const coordinators = Array.from({ length: workerCount }, () =>
    createCoordinator({ backend: open(), namespace: run, ttlMs: 30_000, waitMs: Infinity }),
  );
  return {
    name: "lock",
    pair: async (name) => {
      const lease = await coordinators[0]?.lock(name).acquire();
      await lease?.release();
    },
    workers: coordinators.map((coordinator) => ({
      take: async () => {
        const lease = await coordinator.lock("handed around").acquire();
        return () => lease.release();
      },
    })),
    close: async () => {
      await Promise.all(coordinators.map((coordinator) => coordinator.close()));
    },
  };
}
