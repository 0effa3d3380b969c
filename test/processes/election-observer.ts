import { createCoordinator } from "@leasehold/core";

import { openBackend, type StoreSpec } from "./store-spec.ts";
import { nextCommand, reportTroubles, say, workerArgs } from "./worker-io.ts";

export interface ObserverArgs {
  readonly store: StoreSpec;
  readonly namespace: string;
}

// Looks on, and says what it sees: see election-scenario.ts.
reportTroubles();
const { store, namespace } = workerArgs<ObserverArgs>();
const coordinator = createCoordinator({ backend: await openBackend(store), namespace });
const stop = new AbortController();
const told = nextCommand().then(() => stop.abort());
for await (const leader of coordinator
  .election("shared", { candidate: "nobody" })
  .observe({ signal: stop.signal }))
  say("saw", { ...leader, term: leader?.term ?? null, atNs: process.hrtime.bigint() });
await told;
await coordinator.close();
