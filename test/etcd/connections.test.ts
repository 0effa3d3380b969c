import { createCoordinator, systemRandom, type AcquireRequest, type LeaseholdEvent } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { endsHttp2Response, SimClock, startFaultProxy } from "@leasehold/testing";
import { Etcd3 } from "etcd3";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { expectWithin, patienceMs } from "../stall/index.ts";
import { freePort } from "../servers/free-port.ts";
import { startEtcd } from "../servers/index.ts";
import { claimsOf } from "./store-keys.ts";
import { lockResource } from "../lock-resource.ts";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());
const target = ((url) => ({ host: url.hostname, port: Number(url.port) }))(new URL(hosts[0]!));

function request(name: string, options: Partial<AcquireRequest> = {}): AcquireRequest {
  const claim = {
    resource: lockResource(`default:lock:${name}`),
    owner: "e".repeat(32),
    ttlMs: 2_000,
    weight: 1,
  };
  return { ...claim, queue: true, value: "", maxWaiters: 10, timeoutMs: 600, ...options };
}

test("nobody listens: nothing was written, and it is known long before the deadline", async () => {
  await using backend = etcdBackend({ hosts: `http://127.0.0.1:${await freePort()}` });
  const fromNs = process.hrtime.bigint();
  const timeoutMs = 60_000;
  await expect(backend.leases.acquire(request("refused", { timeoutMs }))).rejects.toMatchObject({
    code: "BACKEND_UNAVAILABLE",
    permanent: false,
  });
  expectWithin("the refusal", timeoutMs / 4, { fromNs });
});

test("nobody listens: a try is told so at once, each time, by host and port, on a clock that stands still", async () => {
  const port = await freePort();
  const members = [port, await freePort()].map((each) => `http://127.0.0.1:${each}`);
  for (const refused of [members[0]!, members]) {
    // No deadline of ours ends these tries: no time passes.
    const backend = etcdBackend({ hosts: refused }, { clock: new SimClock() });
    const coordinator = createCoordinator({ backend });
    for (let i = 0; i < 3; i++) {
      const failure = coordinator.lock("refused").tryAcquire();
      await expect(failure).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: false });
      await expect(failure).rejects.toThrow(/could not be reached.*127\.0\.0\.1:\d+: connect ECONNREFUSED/);
    }
    await coordinator.close();
  }
});

test("a server out of space refuses: told once, as what it is, and once more when it is over", async ({
  skip,
}) => {
  await using server = await startEtcd({ log: () => {} });
  if (!server.canSabotage) skip("the etcd comes from the environment, and its alarms are not ours");
  const admin = new Etcd3({ hosts: server.hosts });
  onTestFinished(() => admin.close());
  const backend = etcdBackend({ hosts: server.hosts });
  const told: string[] = [];
  backend.onDegraded(({ reason, message }) => told.push(`${reason}: ${message}`));
  const over: string[] = [];
  backend.onRestored(({ reason }) => over.push(reason));
  await using coordinator = createCoordinator({ backend, ttlMs: 2_000 });
  const held = await coordinator.lock("held").acquire();
  const alarm = { memberID: 0, alarm: "Nospace" } as const;
  await admin.maintenance.alarm({ ...alarm, action: "Activate" });
  for (const name of ["a", "b"]) {
    const failure = coordinator.lock(name).acquire({ waitMs: 300 });
    await expect(failure).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    await expect(failure).rejects.toThrow(/NOSPACE/);
    await expect(failure).rejects.not.toThrow(/reach/);
  }
  expect(told).toEqual([expect.stringMatching(/^refusing: .*127\.0\.0\.1:\d+: .*space exceeded/)]);
  await held.release();
  expect(over).toEqual([]);
  await admin.maintenance.alarm({ ...alarm, action: "Deactivate" });
  await (await coordinator.lock("a").acquire()).release();
  expect(over).toEqual(["refusing"]);
});

test("a server that accepts and says nothing: the call ends in time", async () => {
  await using proxy = await startFaultProxy({ target });
  proxy.blackhole();
  await using backend = etcdBackend({ hosts: proxy.url("http") });
  const fromNs = process.hrtime.bigint();
  const timeoutMs = 600;
  await expect(backend.leases.acquire(request("silent", { timeoutMs }))).rejects.toMatchObject({
    code: "BACKEND_UNAVAILABLE",
  });
  expect(expectWithin("the answer", 3 * timeoutMs, { fromNs })).toBeGreaterThan(500);
});

test("a connection that dies silently is given up after one unanswered call, and the lease is kept", async () => {
  await using proxy = await startFaultProxy({ target });
  await using backend = etcdBackend({ hosts: proxy.url("http") });
  const events: string[] = [];
  const onEvent = ({ type }: LeaseholdEvent): void => void events.push(type);
  await using coordinator = createCoordinator({ backend, ttlMs: 2_000, onEvent });
  const lease = await coordinator.lock("half-open").acquire();
  // Only the connection there is now, and it stays open: the next one works.
  proxy.hold("toClient", { limit: 1 });
  await vi.waitFor(() => expect(events).toContain("unconfirmed"), patienceMs);
  const renewedAgain = (): boolean => events.lastIndexOf("renewed") > events.indexOf("unconfirmed");
  await vi.waitFor(() => expect(renewedAgain()).toBe(true), patienceMs);
  expect(lease.isHeld()).toBe(true);
  expect(proxy.bytes.toClient.held).toBeGreaterThan(0);
  proxy.pass();
});

test("a client that was handed over: its retries and its breaker touch none of our calls, and it stays open", async () => {
  await using proxy = await startFaultProxy({ target });
  const client = new Etcd3({ hosts: proxy.url("http") });
  onTestFinished(() => client.close());
  const backend = etcdBackend(client, { minTtlMs: 1_000 });
  await backend.leases.acquire(request("warm", { timeoutMs: 5_000 }));

  // Its own policy would repeat an unanswered transaction three times, then shut the host out for
  // five seconds.
  for (let i = 0; i < 4; i++) {
    const lost = proxy.cutAfterNextRequest({
      match: (chunk) => chunk.includes("handed"),
      isReply: endsHttp2Response,
    });
    const call = backend.leases.acquire(request("handed", { owner: String(i).repeat(32), timeoutMs: 3_000 }));
    await expect(call).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await lost;
    expect(await claimsOf(etcd, "handed"), "each was written once").toHaveLength(i + 1);
    // The same owner again finds its claim.
    const again = await vi.waitFor(
      () => backend.leases.acquire(request("handed", { owner: String(i).repeat(32), timeoutMs: 3_000 })),
      patienceMs,
    );
    expect(again).toMatchObject({ kind: i === 0 ? "granted" : "queued" });
  }
  for (let i = 0; i < 4; i++)
    await backend.leases.release({ ...request("handed", { owner: String(i).repeat(32) }), timeoutMs: 3_000 });
  expect(await claimsOf(etcd, "handed")).toEqual([]);
  await backend[Symbol.asyncDispose]();
  expect(await client.get("still open").string()).toBe(null);
});

test("a namespace of a client is kept to: its keys lie in it, and two namespaces never meet", async () => {
  const [here, there] = ["here/", "there/"].map((name) =>
    createCoordinator({ backend: etcdBackend(etcd.namespace(name), { minTtlMs: 1_000 }), ttlMs: 2_000 }),
  );
  await using _here = here!;
  await using _there = there!;
  await using one = await here!.lock("namespaced").acquire();
  await using two = await there!.lock("namespaced").acquire();
  expect([one.isHeld(), two.isHeld()]).toEqual([true, true]);
  for (const name of ["here/", "there/"]) expect(await etcd.namespace(name).getAll().keys()).toHaveLength(1);
});

test("of three members one may die at any time: locks are kept, waits are granted, new ones can be had", async () => {
  await using cluster = await startEtcd({ members: 3, log: () => {} });
  if (!cluster.canSabotage) return;
  const open = (members: readonly string[]): ReturnType<typeof createCoordinator> =>
    createCoordinator({
      // A draw that swaps nothing: both begin with the first.
      backend: etcdBackend(
        { hosts: members },
        { minTtlMs: 1_000, random: { ...systemRandom, fraction: () => 0.99 } },
      ),
      ttlMs: 4_000,
      onEvent: ({ type }) => void (renewals += type === "renewed" ? 1 : 0),
    });
  let renewals = 0;
  const [first = "", second = "", third = ""] = cluster.hosts;
  await using a = open([first, second, third]);
  await using b = open([first, third, second]);
  const held = await a.lock("three").acquire();
  const waiting = b.lock("three").acquire();
  await vi.waitFor(async () => expect((await a.inspect("three")).line).toHaveLength(1), patienceMs);

  // Both are connected to the first.
  await cluster.members[0]!.kill();
  await vi.waitFor(() => a.inspect("three"), patienceMs);
  renewals = 0;
  await vi.waitFor(() => expect(renewals, "kept over a ttl").toBeGreaterThan(3), patienceMs);
  expect(held.isHeld()).toBe(true);
  await vi.waitFor(() => held.release(), patienceMs);
  const lease = await waiting;
  expect(lease.isHeld()).toBe(true);
  expect(lease.fencingToken).toBeGreaterThan(held.fencingToken);
  expect((await a.lock("another").acquire()).isHeld()).toBe(true);
});
