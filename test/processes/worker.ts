import { createCoordinator } from "@leasehold/core";

import { contend } from "./contender.ts";
import { FencedClient } from "./fenced-client.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";
import { codeOf, nextCommand, reportTroubles, say, workerArgs } from "./worker-io.ts";

export interface ExclusionArgs {
  readonly store: StoreSpec;
  readonly namespace: string;
  readonly ttlMs: number;
  readonly workers: number;
  /** Of the `FencedResource`. */
  readonly port: number;
}

// Several workers that contend for one name until told: see exclusion.test.ts.
reportTroubles();
const { store, namespace, ttlMs, workers, port } = workerArgs<ExclusionArgs>();
const coordinator = createCoordinator({ backend: await openBackend(store), namespace, ttlMs });
const resource = new FencedClient(port);
say("ready");
await nextCommand();
let isOver = false;
const contending = Promise.allSettled(
  Array.from({ length: workers }, () => contend(coordinator.lock("shared"), resource, () => isOver)),
);
await nextCommand();
isOver = true;
const outcomes = await contending;
for (const outcome of outcomes)
  if (outcome.status === "fulfilled") say("worker", outcome.value);
  else say("failed", { code: codeOf(outcome.reason), message: String(outcome.reason) });
resource.close();
await coordinator.close();
