import { assign, createCoordinator, type Lease } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";

/** Workers share twelve shards without a leader: all who see the same members share alike. */
const coordinator = createCoordinator({ backend: memoryBackend(), namespace: "indexer" });
const workers = coordinator.membership("workers");
const shards = Array.from({ length: 12 }, (_, index) => `shard-${index}`);

const leases: Lease[] = [];
for (const value of ["worker-a", "worker-b", "worker-c"]) leases.push(await workers.join({ value }));

let before: ReadonlyMap<string, readonly string[]> | undefined;
for await (const members of workers.observe()) {
  const shares = assign(
    members.map(({ value }) => value),
    shards,
  );
  for (const [worker, share] of shares) console.log(`${worker} has ${share.length} of ${shards.length}`);
  if (before !== undefined) {
    const kept = [...shares].every(([worker, share]) =>
      before?.get(worker)?.every((shard) => share.includes(shard)),
    );
    console.log("those who stayed kept all they had:", kept);
    break;
  }
  before = shares;
  // One leaves; a crash would do the same, a ttl later.
  await leases.pop()?.release();
}
await coordinator.close();
