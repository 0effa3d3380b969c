import { createCoordinator, createFencingGuard } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";

/** A catalog that many read together, and one at a time rebuilds. */
const coordinator = createCoordinator({ backend: memoryBackend(), namespace: "shop" });
const { read, write } = coordinator.readWriteLock("catalog");
const guard = createFencingGuard();
let edition = 1;

async function browse(reader: string): Promise<void> {
  await read.run(({ fencingToken }) => {
    // A reader raises nothing: older readers may go on beside younger ones.
    guard.check(fencingToken);
    console.log(`${reader} reads edition ${edition}`);
  });
}

async function rebuild(): Promise<void> {
  await write.run(({ fencingToken }) => {
    guard.claim(fencingToken);
    edition += 1;
    console.log(`rebuilt, alone: edition ${edition}`);
  });
}

// In order of arrival: the writer waits for those before it, the others wait for the writer.
await Promise.all([browse("anna"), browse("bela"), rebuild(), browse("cleo")]);
await coordinator.close();
