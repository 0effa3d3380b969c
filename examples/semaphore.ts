import { createCoordinator } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";

/** A service bears ten requests at once, from the whole fleet. A bulk upload counts for four. */
const coordinator = createCoordinator({ backend: memoryBackend(), namespace: "media" });
const uploads = coordinator.semaphore("uploads", { permits: 10 });

let atOnce = 0;
let most = 0;

async function upload(permits: number): Promise<void> {
  await uploads.run(
    async ({ signal }) => {
      atOnce += permits;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      // A holder that was paused past its ttl has lost its permits to others: it must not go on.
      signal.throwIfAborted();
      atOnce -= permits;
    },
    { permits },
  );
}

await Promise.all([4, 1, 1, 4, 1, 4, 4, 1, 1, 4, 1, 4].map(upload));
console.log(`12 uploads, at most ${most} permits in use at once`);
await coordinator.close();
