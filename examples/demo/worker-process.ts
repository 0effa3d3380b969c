import { createCoordinator } from "@leasehold/core";
import { accountName } from "./crew.ts";
import { connect } from "./place.ts";
import type { CrewMessage, WorkerMessage, WorkerOrders } from "./process-crew.ts";
import { withdrawInTurn } from "./worker.ts";

const { worker, place, job } = JSON.parse(process.argv[2] ?? "") as WorkerOrders;

const report = (message: WorkerMessage): void => {
  process.send?.(message);
};

/** Messages wait here until somebody asks, so that a "go on" that comes early is not lost. */
const inbox: CrewMessage[] = [];
let wake = (): void => {};
process.on("message", (message: CrewMessage) => {
  inbox.push(message);
  wake();
});
// Without its parent nobody would ever end it.
process.on("disconnect", () => process.exit(1));

async function next(expected: CrewMessage): Promise<void> {
  while (!inbox.includes(expected)) await new Promise<void>((resolve) => (wake = resolve));
  inbox.splice(inbox.indexOf(expected), 1);
}

const { backend, account } = await connect(place);
const coordinator = createCoordinator({ backend, namespace: place.run, ttlMs: job.ttlMs });
await account.read();
report({ kind: "ready" });
await next("start");
const work = (): Promise<void> => next("go on");
await withdrawInTurn({ ...job, worker, account, lock: coordinator.lock(accountName), report, work });
await coordinator.close();
await account[Symbol.asyncDispose]();
process.removeAllListeners("disconnect");
process.disconnect();
