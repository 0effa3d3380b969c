import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { createCoordinator } from "@leasehold/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startEtcd, startRedis, type ManagedServer } from "../servers/index.ts";
import { Child, type Ending } from "./child.ts";
import { residueOf } from "./residue.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";
import type { ExitArgs } from "./worker-exit.ts";

const ttlMs = 2_000;
const clean: Ending = { code: 0, signal: null };

function live(store: StoreSpec, namespace: string, scenario: ExitArgs["scenario"]): Child {
  return new Child("worker-exit.ts", { store, namespace, ttlMs, scenario } satisfies ExitArgs);
}

/**
 * After "closed" the process ends by itself, with nothing of ours left and nothing to complain of.
 */
async function expectCleanEnd(child: Child): Promise<void> {
  const { left } = await child.heard("closed");
  expect(await child.ending()).toEqual(clean);
  expect(left).toEqual([]);
  expect(child.troubles).toEqual([]);
  expect(child.output).toBe("");
}

test("memory: a process exits by itself after close, and also when it forgets to close", async () => {
  const store: StoreSpec = { kind: "memory" };
  await using closing = live(store, "exit", "cycle");
  await using forgetting = live(store, "exit", "forget");
  await Promise.all([expectCleanEnd(closing), expectCleanEnd(forgetting)]);
});

interface Subject {
  start(): Promise<ManagedServer>;
  store(server: ManagedServer): StoreSpec;
}

// Servers of their own: one is killed here, and all of its keys, channels and leases are counted.
const subjects: [string, Subject][] = [
  [
    "redis",
    {
      start: () => startRedis({ persistence: "aof" }),
      store: ({ address }) => ({ kind: "redis", url: `redis://${address.host}:${address.port}` }),
    },
  ],
  [
    "etcd",
    {
      start: () => startEtcd(),
      store: ({ address }) => ({ kind: "etcd", hosts: [`http://${address.host}:${address.port}`] }),
    },
  ],
];

describe.each(subjects)("%s", (_, subject) => {
  let server: ManagedServer;
  let store: StoreSpec;
  beforeAll(async () => {
    server = await subject.start();
    store = subject.store(server);
  });
  afterAll(() => server.stop());

  test("a process exits by itself after close, and leaves nothing in the store", async ({ skip }) => {
    if (!server.canSabotage) skip("the server comes from the environment, and may have others' keys");
    const namespace = randomUUID();
    await using child = live(store, namespace, "cycle");
    await expectCleanEnd(child);
    expect(await residueOf(store)).toEqual({ immortal: [], channels: [], leases: [] });
    await expectNoClaim(store, namespace);
  });

  test("a process that forgets to close exits by itself all the same", async () => {
    await using child = live(store, randomUUID(), "forget");
    await child.heard("closed");
    expect(await child.ending()).toEqual(clean);
    expect(child.troubles).toEqual([]);
    expect(child.output).toBe("");
  });

  test("close releases a held lease and ends a wait; the process exits by itself", async () => {
    const namespace = randomUUID();
    await using child = live(store, namespace, "close when told");
    await Promise.all([child.heard("holds"), child.heard("queued")]);
    child.tell("close");
    await expectCleanEnd(child);
    expect(child.all("waited")).toEqual([{ type: "waited", code: "CLOSED" }]);
    await expectNoClaim(store, namespace);
  });

  test("a pending wait keeps the process alive, and nothing does after it", async () => {
    const namespace = randomUUID();
    await using coordinator = createCoordinator({ backend: await openBackend(store), namespace, ttlMs });
    await using lease = await coordinator.lock("shared").acquire();
    await using child = live(store, namespace, "wait");
    await child.heard("queued");
    // Longer than a renewal of the waiter, so that only the wait itself can have kept it alive.
    expect(await Promise.race([child.ended, sleep(ttlMs / 2, "alive")])).toBe("alive");
    await lease.release();
    await child.heard("was granted");
    await expectCleanEnd(child);
  });

  test("a process exits by itself after close when its server was killed meanwhile", async ({ skip }) => {
    if (!server.canSabotage) skip("the server comes from the environment");
    await using child = live(store, randomUUID(), "close when told");
    await Promise.all([child.heard("holds"), child.heard("queued")]);
    await server.kill();
    child.tell("close");
    await expectCleanEnd(child);
    await server.start();
  });
});

/** Seen by a client that comes after: nobody holds and nobody waits. */
async function expectNoClaim(store: StoreSpec, namespace: string): Promise<void> {
  await using coordinator = createCoordinator({ backend: await openBackend(store), namespace });
  expect(await coordinator.inspect("shared")).toEqual({ holders: [], line: [] });
}
