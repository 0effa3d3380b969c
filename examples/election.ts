import { createCoordinator, type Leadership } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";

/** Two hosts, here in one process, stand for election. demos/leader has one that is killed. */
const store = new MemoryStore();
const coordinators = [1, 2].map(() =>
  createCoordinator({ backend: memoryBackend({ store }), namespace: "cron" }),
);
const elections = coordinators.map((coordinator, index) =>
  coordinator.election("scheduler", { candidate: `host-${index + 1}`, value: `http://host-${index + 1}` }),
);

/** Works until a loss, or its own resignation, stops it. Whatever it commands gets the term. */
async function schedule({ candidate, term, signal }: Leadership): Promise<void> {
  console.log(`${candidate} schedules; its orders carry the term, a ${typeof term}`);
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  console.log(`${candidate} has stopped`);
}

const [observed] = elections;
const stop = new AbortController();
const leaders: Leadership[] = [];
const candidacies = elections.map((election) =>
  election.lead((leadership) => (leaders.push(leadership), schedule(leadership)), { signal: stop.signal }),
);

for await (const leader of observed?.observe() ?? []) {
  if (leader === null) continue;
  console.log(`seen: ${leader.candidate}, to be found at ${leader.value}`);
  if (leader.candidate === "host-2") break;
  // Ends its work first, and then hands over: the next one begins within a push.
  await leaders.at(-1)?.resign();
}
stop.abort();
await Promise.all(candidacies);
await Promise.all(coordinators.map((coordinator) => coordinator.close()));
