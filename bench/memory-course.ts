import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import type { Course, Worker } from "./measure.ts";
import { ourLock, workerCount } from "./our-lock.ts";

/**
 * The floor: a chain of promises, which is what a mutex without lease, deadline or token comes to.
 */
export async function memoryCourse(run: string): Promise<Course> {
  const store = new MemoryStore();
  const tails = new Map<string, Promise<void>>();
  const take = async (name: string): Promise<() => Promise<void>> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const ahead = tails.get(name);
    tails.set(name, promise);
    await ahead;
    return async () => resolve();
  };
  const lock = ourLock(() => memoryBackend({ store }), run);
  return {
    floor: {
      name: "chain of promises",
      pair: async (name) => (await take(name))(),
      workers: Array.from({ length: workerCount }, (): Worker => ({ take: () => take("handed around") })),
    },
    ours: lock,
    close: () => lock.close(),
  };
}
