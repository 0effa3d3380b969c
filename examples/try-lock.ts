import { createCoordinator } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";

/** A nightly job for one instance only: whoever comes second has nothing to do, and goes. */
const coordinator = createCoordinator({ backend: memoryBackend(), namespace: "reports", ttlMs: 5_000 });
const lock = coordinator.lock("nightly");

async function runNightly(instance: string): Promise<void> {
  const lease = await lock.tryAcquire({ metadata: { instance } });
  if (lease === null) {
    const { holders } = await coordinator.inspect(lock.name);
    console.log(`${instance}: ${holders[0]?.origin?.metadata["instance"]} is at it already`);
    return;
  }
  // From TypeScript 5.2 or Node 24 on, "await using lease = …" does what this try and finally do.
  try {
    for (const page of [1, 2, 3]) {
      // It aborts before somebody else can be granted the lock. Long work hands it on.
      lease.signal.throwIfAborted();
      await Promise.resolve(page);
    }
    console.log(`${instance}: done`);
  } finally {
    await lease.release();
  }
}

await Promise.all([runNightly("host-a"), runNightly("host-b")]);
await coordinator.close();
