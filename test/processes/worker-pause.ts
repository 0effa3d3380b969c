import { createCoordinator, isLeaseholdError, type Lease } from "@leasehold/core";

import type { GuardedResource } from "./contender.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";
import { codeOf, nextCommand, reportTroubles, say, workerArgs } from "./worker-io.ts";

export interface PauseArgs {
  readonly store: StoreSpec;
  readonly namespace: string;
  readonly ttlMs: number;
}

// Acquires one name and then does as it is told: see pause.test.ts.
reportTroubles();
const { store, namespace, ttlMs } = workerArgs<PauseArgs>();
const coordinator = createCoordinator({
  backend: await openBackend(store),
  namespace,
  ttlMs,
  waitMs: 60_000,
  onEvent: (event) => {
    const atNs = process.hrtime.bigint();
    if (event.type === "queued") say("queued", { atNs });
    else if (event.type === "renewed") say("renewed", { atNs });
    else if (event.type === "lost") say("lost", { atNs, reason: event.reason });
  },
});
const resource = await openResource();
say("ready", { pid: process.pid });
await nextCommand();
const lease = await coordinator.lock("shared").acquire();
const heldAtNs = process.hrtime.bigint();
lease.assertHeld();
say("held", { atNs: heldAtNs, token: lease.fencingToken });
const value = await resource.claim(lease.fencingToken);
say("claimed", { value });

for (;;) {
  const command = await nextCommand<"spin" | "write" | "read" | "release">();
  if (command === "spin") lookAfterGap(lease);
  else if (command === "write")
    say("wrote", await outcomeOf(resource.write(lease.fencingToken, value + process.pid)));
  else if (command === "read") say("read", await outcomeOf(resource.claim(lease.fencingToken)));
  else break;
}
say("released", { outcome: await lease.release() });
resource.close();
await coordinator.close();

/** A number in the store itself, behind the store's own guard. */
async function openResource(): Promise<GuardedResource> {
  switch (store.kind) {
    case "redis": {
      const { RedisCounter } = await import("./redis-counter.ts");
      return new RedisCounter(store.url, namespace);
    }
    case "etcd": {
      const { EtcdCounter } = await import("./etcd-counter.ts");
      return new EtcdCounter(store.hosts, namespace);
    }
    case "memory":
    case "redis cluster":
      throw new Error(`no guarded number on ${store.kind} here`);
  }
}

/**
 * Spins until the clock jumps, which is the test's SIGSTOP, and looks at the lease right there: no
 * timer, no reply and no other callback of this process has had its turn in between.
 */
function lookAfterGap(held: Lease): void {
  let atNs = process.hrtime.bigint();
  const endNs = atNs + 10_000_000_000n;
  const gapNs = BigInt(ttlMs) * 1_000_000n;
  say("spinning", { atNs, held: held.isHeld() });
  for (let before = atNs; atNs - before < gapNs && atNs < endNs;) {
    before = atNs;
    atNs = process.hrtime.bigint();
  }
  const { aborted } = held.signal;
  const isHeld = held.isHeld();
  say("looked", {
    abortedBeforeLook: aborted,
    isHeld,
    assertHeld: thrownBy(() => held.assertHeld()),
    remainingMs: held.remainingMs,
    aborted: held.signal.aborted,
    lost: isLeaseholdError(held.signal.reason, "LEASE_LOST"),
  });
}

function thrownBy(act: () => void): string {
  try {
    act();
    return "nothing";
  } catch (error) {
    return codeOf(error);
  }
}

async function outcomeOf(operation: Promise<number>): Promise<object> {
  try {
    return { value: await operation };
  } catch (error) {
    return { code: codeOf(error) };
  }
}
