import { setImmediate as turn } from "node:timers/promises";

import { createCoordinator } from "@leasehold/core";

import { openBackend, type StoreSpec } from "./store-spec.ts";
import { codeOf, nextCommand, reportTroubles, say, workerArgs } from "./worker-io.ts";

export interface ExitArgs {
  readonly store: StoreSpec;
  readonly namespace: string;
  readonly ttlMs: number;
  readonly scenario:
    /** Acquires, waits in line, is handed over, releases, closes. */
    | "cycle"
    /** Holds and waits, until told to close. */
    | "close when told"
    /** Only waits for what is held elsewhere; closes after that. */
    | "wait"
    /** As "cycle", but forgets to close. */
    | "forget";
}

const graceNs = 250_000_000n;

// Lives a short life on one store and ends by itself, or does not: see exit.test.ts.
reportTroubles();
const { store, namespace, ttlMs, scenario } = workerArgs<ExitArgs>();
const before = process.getActiveResourcesInfo();
const coordinator = createCoordinator({
  backend: await openBackend(store),
  namespace,
  ttlMs,
  graceMs: 1_000,
  waitMs: 60_000,
  // The test waits for "queued" only; the others tell what happened instead, should it wait in
  // vain.
  onEvent: (event) => say(event.type, event.type === "degraded" ? { reason: event.reason } : {}),
});
const lock = coordinator.lock("shared");

switch (scenario) {
  case "cycle":
  case "forget": {
    const first = await lock.acquire();
    const waiting = lock.acquire();
    await Promise.all([lock.tryAcquire(), coordinator.inspect("shared")]);
    await first.release();
    const second = await waiting;
    second.assertHeld();
    await second.release();
    break;
  }
  case "close when told": {
    const lease = await lock.acquire();
    const waited = lock.acquire().catch((error: unknown) => say("waited", { code: codeOf(error) }));
    say("holds", { token: lease.fencingToken });
    await nextCommand();
    await coordinator.close();
    await waited;
    break;
  }
  case "wait": {
    const lease = await lock.acquire();
    say("was granted");
    await lease.release();
    break;
  }
}
if (scenario !== "forget") await coordinator.close();
const closedAtNs = process.hrtime.bigint();
// Closing a socket takes some turns of the event loop, and ioredis gives one that is dead already
// 100 ms to do so. Turns, not a timer, which would be one of those looked for.
let left = ours();
while (left.length > 0 && process.hrtime.bigint() - closedAtNs < graceNs) {
  await turn();
  left = ours();
}
say("closed", { atNs: closedAtNs, left });

/** What keeps this process alive by now, and did not when it began. */
function ours(): string[] {
  const now = process.getActiveResourcesInfo();
  for (const resource of before) if (now.includes(resource)) now.splice(now.indexOf(resource), 1);
  return now.filter((resource) => resource !== "Immediate");
}
