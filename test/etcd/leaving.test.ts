import { fork } from "node:child_process";
import { once } from "node:events";

import { createCoordinator } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { expectWithin } from "../stall/index.ts";
import { compileCache } from "../compile-cache.ts";
import { startEtcd, type EtcdServer } from "../servers/index.ts";
import { leasesOf } from "./store-keys.ts";
import { lockResource } from "../lock-resource.ts";

/** Of the processes that leave: see leaving-process.ts. */
const ttlMs = 20_000;

// A server of its own: its leases are counted, and it is paused and killed.
let server: EtcdServer;
let etcd: Etcd3;
beforeAll(async () => {
  server = await startEtcd({ log: () => {} });
  etcd = new Etcd3({ hosts: server.hosts });
});
afterAll(async () => {
  etcd.close();
  await server.stop();
});
beforeEach(({ skip }) => {
  if (!server.canSabotage) skip("the etcd comes from the environment, and others may use it");
});

test("after close no lease is left, whether its claims were held, waiting, or released", async () => {
  const [a, b] = [server.hosts, server.hosts].map((hosts) =>
    createCoordinator({ backend: etcdBackend({ hosts }), ttlMs: 60_000 }),
  );
  await (await a!.lock("x").acquire({ ttlMs: 30_000 })).release();
  await a!.lock("y").acquire();
  const waiting = b!
    .lock("y")
    .acquire()
    .catch((error: unknown) => error);
  await expect.poll(() => leasesOf(etcd)).toHaveLength(3);
  await b!.close();
  await a!.close();
  expect(await waiting).toMatchObject({ code: "CLOSED" });
  expect(await leasesOf(etcd)).toEqual([]);
});

test("a closed backend refuses, and closing it again is nothing", async () => {
  const backend = etcdBackend({ hosts: server.hosts });
  await backend[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
  const [resource, owner, timeoutMs] = [lockResource("r"), "a".repeat(32), 1_000] as const;
  const claim = { resource, owner, ttlMs: 2_000, weight: 1 };
  const acquire = { ...claim, queue: true, value: "", maxWaiters: 10, timeoutMs };
  await expect(backend.leases.acquire(acquire)).rejects.toMatchObject({ code: "CLOSED" });
  await expect(backend.leases.release({ resource, owner, timeoutMs })).rejects.toMatchObject({
    code: "CLOSED",
  });
  await expect(backend.leases.inspect(resource.name, { timeoutMs })).rejects.toMatchObject({
    code: "CLOSED",
  });
  const [answer] = await backend.leases.renew([{ ...claim, ticket: 1n }], { timeoutMs });
  expect(answer).toMatchObject({ kind: "unanswered", error: { code: "CLOSED" } });
  expect(await leasesOf(etcd)).toEqual([]);
});

test("a close in the middle of an acquire settles it, and leaves a lease only to a claim that was acquired", async () => {
  let acquired = 0;
  for (let i = 0; i < 10; i++) {
    const backend = etcdBackend({ hosts: server.hosts });
    const claim = { resource: lockResource(`mid-${i}`), owner: "b".repeat(32), ttlMs: 60_000, weight: 1 };
    const acquiring = backend.leases
      .acquire({ ...claim, queue: true, value: "", maxWaiters: 10, timeoutMs: 5_000 })
      .then(
        () => "answered",
        (error: { code: string }) => error.code,
      );
    // Grant and join are two round trips; the close falls somewhere into them.
    for (let turns = 0; turns < i * 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    await backend[Symbol.asyncDispose]();
    const outcome = await acquiring;
    expect(["answered", "CLOSED", "BACKEND_UNAVAILABLE", "OUTCOME_UNKNOWN"]).toContain(outcome);
    if (outcome === "answered") acquired += 1;
  }
  // Whoever was told "granted" and never released it keeps its ttl: its work may be going on.
  await expect.poll(() => leasesOf(etcd)).toHaveLength(acquired);
  for (const id of await leasesOf(etcd)) await etcd.leaseClient.leaseRevoke({ ID: id });
});

/**
 * Lets a process do its part up to its message, then the server its own, and says how long the
 * process took to end.
 */
/** Fails unless the process exits by itself, long before a claim of it could have expired. */
async function expectExit(scenario: string, sabotage = async (): Promise<void> => {}): Promise<void> {
  const child = fork(new URL("leaving-process.ts", import.meta.url), [server.hosts[0]!, scenario], {
    execArgv: ["--conditions=@leasehold/source"],
    env: { ...process.env, ...compileCache },
  });
  await once(child, "message");
  await sabotage();
  const fromNs = process.hrtime.bigint();
  child.send("leave");
  const [code] = (await once(child, "exit")) as [number | null];
  expect(code).toBe(0);
  expectWithin("its exit", ttlMs / 4, { fromNs });
}

test("a process that closes exits by itself, at once", async () => {
  await expectExit("holding");
  await expectExit("waiting");
  await expect.poll(() => leasesOf(etcd)).toEqual([]);
});

test("a process that has let go of its locks exits without closing anything", async () => {
  await expectExit("released");
});

test("disposing is prompt while the server does not answer, and the process exits", async () => {
  try {
    await expectExit("disposing", () => server.pause());
  } finally {
    await server.resume();
  }
});

test("disposing is prompt while the server is gone, and the process exits", async () => {
  try {
    await expectExit("disposing", () => server.kill());
  } finally {
    await server.start();
  }
});
