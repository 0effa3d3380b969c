import { createCoordinator, createFencingGuard, isLeaseholdError } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";

/** A file, a device, a cache: this process alone writes to it, and keeps its guard beside it. */
const guard = createFencingGuard();
const device = { setting: 0 };

const coordinator = createCoordinator({ backend: memoryBackend(), namespace: "plant" });
const lock = coordinator.lock("device:1");

const early = await lock.acquire();
guard.claim(early.fencingToken); // The first operation of each holder, before it reads.
const seen = device.setting;
await early.release(); // Here stands for a pause that outlasts the lease.

await lock.run((late) => {
  guard.claim(late.fencingToken);
  device.setting += 10;
});

try {
  guard.claim(early.fencingToken);
  device.setting = seen + 1; // Would undo the write of the later holder.
} catch (error) {
  if (!isLeaseholdError(error, "STALE_TOKEN")) throw error;
  console.log("refused:", error.code, "the device still has", device.setting);
}
await coordinator.close();
