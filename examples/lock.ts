import { createCoordinator } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";

const coordinator = createCoordinator({ backend: memoryBackend(), namespace: "billing" });
const lock = coordinator.lock("order:42");

const total = await lock.run(async (lease) => {
  console.log("mine until released; every write carries the token, a", typeof lease.fencingToken);
  return 99;
});
console.log("released, total", total);
await coordinator.close();
