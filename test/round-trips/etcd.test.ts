import { createHash, randomUUID } from "node:crypto";

import {
  createCoordinator,
  encodeName,
  fingerprintOf,
  type Coordinator,
  type Idempotency,
  type IdempotencyOptions,
} from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { checkTokenOrder } from "@leasehold/testing";
import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";

import { startEtcd, type EtcdServer } from "../servers/index.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { GrpcCounter, type Counts } from "./grpc-counter.ts";
import { Ear, lineUp, passAlong } from "./line-up.ts";

// A server of its own: nobody else's calls are counted. One from the environment may have other
// clients.
let server: EtcdServer;
let counter: GrpcCounter;
beforeAll(async () => {
  server = await startEtcd();
  counter = await GrpcCounter.watch(server.hosts[0] ?? "");
});
afterAll(() => server.stop());
beforeEach(({ skip }) => {
  if (!server.canSabotage) skip("the etcd comes from the environment, and others may use it");
});

/** Long enough that a machine which stalls does not tear a batch of renewals apart. */
const patientTtlMs = 9_000;
/** Long enough that no renewal falls into a count. */
const calmTtlMs = 300_000;

/**
 * Has connected, and has its lease of this ttl: all that only the first call of a process costs.
 */
async function warmed(ttlMs: number = calmTtlMs): Promise<{ coordinator: Coordinator; ear: Ear }> {
  const ear = new Ear();
  const coordinator = createCoordinator({
    backend: etcdBackend({ hosts: server.hosts }),
    ttlMs,
    waitMs: 60_000,
    onEvent: ear.hear,
  });
  onTestFinished(() => coordinator.close());
  await (await coordinator.lock("warm up").acquire()).release();
  await counter.since();
  return { coordinator, ear };
}

test("acquire, try-acquire and release are one call each", async () => {
  const { coordinator } = await warmed();
  const lock = coordinator.lock("order:42");
  const lease = await lock.acquire();
  expect(await counter.since(), "acquire of a free lock").toEqual({ Txn: 1 });
  expect(await lock.tryAcquire()).toBe(null);
  expect(await counter.since(), "try-acquire of a held lock").toEqual({ Txn: 1 });
  await lease.release();
  expect(callsOf(await counter.since()), "release").toBe(1);
  const tried = await lock.tryAcquire();
  expect(tried?.isHeld()).toBe(true);
  expect(await counter.since(), "try-acquire of a free lock").toEqual({ Txn: 1 });
  await tried?.release();
  await tried?.release();
  expect(callsOf(await counter.since()), "releasing again").toBe(1);
  await coordinator.inspect("order:42");
  expect(callsOf(await counter.since()), "inspect").toBe(1);
});

test("a semaphore: an acquire and a release are one call each, a try two, however many hold", async () => {
  const { coordinator } = await warmed();
  const semaphore = coordinator.semaphore("uploads", { permits: 1_000 });
  for (const holders of [10, 90]) {
    await Promise.all(Array.from({ length: holders }, (_, i) => semaphore.acquire({ permits: 1 + (i % 5) })));
    await counter.since();
    const lease = await semaphore.acquire({ permits: 7 });
    expect(await counter.since(), "acquire").toEqual({ Txn: 1 });
    await lease.release();
    expect(callsOf(await counter.since()), "release").toBe(1);
    const tried = await semaphore.tryAcquire({ permits: 7 });
    expect(tried?.isHeld()).toBe(true);
    expect(await counter.since(), "a try that succeeds").toEqual({ Txn: 2 });
    await tried?.release();
    await counter.since();
    expect(await semaphore.tryAcquire({ permits: 990 })).toBe(null);
    // Now and then a read besides: what was counted may be keys that are no claims.
    const { Range: reads = 0, ...calls } = await counter.since();
    expect(calls, "a try that does not").toEqual({ Txn: 1 });
    expect(reads).toBeLessThanOrEqual(holders === 10 ? 1 : 0);
  }
});

test("the first wait in a line costs a watch and a read besides, the next ones nothing", async () => {
  const holding = await warmed();
  const { coordinator, ear } = await warmed();
  const holder = await holding.coordinator.lock("shared").acquire();
  await counter.since();

  const first = await lineUp(coordinator, ear, "shared", 1);
  let joining = await counter.since();
  await waitUntil("the watch is there", async () => {
    joining = sum(joining, await counter.since());
    return joining["Watch messages"] === 1;
  });
  const others = await lineUp(coordinator, ear, "shared", 3);
  // The read comes after the watch, and need not come at all: so it may fall among the others.
  const { Range: reads = 0, ...all } = sum(joining, await counter.since());
  expect(all, "four waits").toEqual({ Txn: 4, Watch: 1, "Watch messages": 1 });
  expect(reads).toBeLessThanOrEqual(1);

  await holder.release();
  const lease = await first[0];
  expect(lease?.isHeld()).toBe(true);
  // The release, and at most one read by the waiter.
  expect(callsOf(await counter.since()), "hand-over").toBeLessThanOrEqual(2);
  expect((await passAlong([...first, ...others])).order).toEqual([0, 1, 2, 3]);
});

test("1,000 waiters: a release is O(1) calls, and the line moves in order, each hand-over too", async () => {
  const { coordinator, ear } = await warmed();
  const holder = await coordinator.lock("crowd").acquire();
  await counter.since();
  const waits = await lineUp(coordinator, ear, "crowd", 1_000);
  const { Range: reads = 0, ...joining } = await counter.since();
  expect(joining).toEqual({ Txn: 1_000, Watch: 1, "Watch messages": 1 });
  expect(reads).toBeLessThanOrEqual(1);

  await holder.release();
  const first = await waits[0];
  expect(first?.isHeld()).toBe(true);
  expect(callsOf(await counter.since()), "one release in front of 1,000 waiters").toBeLessThanOrEqual(2);

  const { order, tokens } = await passAlong(waits);
  expect(order).toEqual(waits.map((_, index) => index));
  expect(checkTokenOrder(tokens)).toEqual([]);
  expect(callsOf(await counter.since()), "1,000 releases, 999 hand-overs").toBeLessThanOrEqual(1_999);
});

test("renewing 250 claims is one keepalive, one read and one list of keys a period", async () => {
  const { coordinator, ear } = await warmed(patientTtlMs);
  const leases = await Promise.all(
    Array.from({ length: 250 }, (_, index) => coordinator.lock(`n${index}`).acquire()),
  );
  const onePeriod = { LeaseKeepAlive: 1, "LeaseKeepAlive messages": 1, LeaseTimeToLive: 1, Range: 1 };
  await ear.heard("renewed", 250);
  await counter.since();
  await ear.heard("renewed", 500);
  expect(await counter.since()).toEqual(onePeriod);
  await ear.heard("renewed", 750);
  expect(await counter.since()).toEqual(onePeriod);
  expect(leases.every((lease) => lease.isHeld())).toBe(true);
});

test("renewing a crowd of waiters costs one read of their line besides", async () => {
  const { coordinator, ear } = await warmed(patientTtlMs);
  await using holder = await coordinator.lock("crowd").acquire();
  const waits = await lineUp(coordinator, ear, "crowd", 100);
  await ear.heard("renewed", 1);
  await counter.since();
  await ear.heard("renewed", 2);
  const { Range: reads = 0, LeaseTimeToLive: lists = 0 } = await counter.since();
  expect(reads).toBeLessThanOrEqual(2);
  expect(lists).toBeLessThanOrEqual(2);
  expect(holder.isHeld()).toBe(true);
  // Ends the waits: they reject, which lineUp has seen to.
  await coordinator.close();
  expect((await Promise.allSettled(waits)).every(({ status }) => status === "rejected")).toBe(true);
});

test("a proclamation is one call, however many are made at once", async () => {
  const { coordinator } = await warmed();
  const leadership = await coordinator.election("scheduler", { candidate: "a" }).campaign();
  await counter.since();
  await leadership.proclaim("first");
  expect(await counter.since()).toEqual({ Txn: 1 });
  await Promise.all(Array.from({ length: 20 }, (_, index) => leadership.proclaim(`${index}`)));
  expect(await counter.since()).toEqual({ Txn: 20 });
  expect((await coordinator.election("scheduler", { candidate: "b" }).leader())?.value).toBe("19");
});

test("any number of observers of one name share a watch, and a change costs them one look", async () => {
  const { coordinator } = await warmed();
  const election = coordinator.election("observed", { candidate: "a" });
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const seen = Array.from({ length: 10 }, () => 0);
  const watching = seen.map(async (_, index) => {
    for await (const _leader of election.observe({ signal: stop.signal })) seen[index]! += 1;
  });
  // At once, and again when the watch stands.
  let beginning = await counter.since();
  await waitUntil("everybody has looked", async () => {
    beginning = sum(beginning, await counter.since());
    return (beginning["Range"] ?? 0) >= 2 && seen.every((looks) => looks === 1);
  });
  // One more for those who came while the first look was on its way.
  const { Range: looks, ...others } = beginning;
  expect(others).toEqual({ Watch: 1, "Watch messages": 1 });
  expect(looks).toBeLessThanOrEqual(3);
  const leadership = await election.campaign();
  await waitUntil("everybody has seen the leader", () => seen.every((looks) => looks === 2));
  const { Txn: campaigns, Range: again } = await counter.since();
  expect([campaigns, (again ?? 0) <= 2], "not a look for each").toEqual([1, true]);
  stop.abort();
  await Promise.all(watching);
  await leadership.resign();
  expect(callsOf(await counter.since()), "nobody looks any more").toBe(1);
});

/** As `warmed`, and has the leases that its first execution of this retention costs. */
async function warmedForExecutions(
  options: IdempotencyOptions = {},
): Promise<{ charges: Idempotency; coordinator: Coordinator }> {
  const { leaseMs = calmTtlMs } = options;
  const { coordinator } = await warmed(leaseMs);
  const charges = coordinator.idempotency("charges", { leaseMs, retentionMs: calmTtlMs, ...options });
  await charges.run(randomUUID(), {}, () => 0);
  await counter.since();
  return { charges, coordinator };
}

test("an idempotent call is 2 transactions; a replay, a duplicate and another payload are 1 each", async () => {
  const { charges: first } = await warmedForExecutions();
  const { charges: other } = await warmedForExecutions();
  const gate = Promise.withResolvers<number>();
  const running = first.run("order:42", { fingerprint: "a" }, () => gate.promise);
  await waitUntil("it has begun", async () => (await counter.since())["Txn"] === 1);
  await expect(other.run("order:42", { fingerprint: "a" }, () => 0)).rejects.toMatchObject({
    code: "IDEMPOTENCY_IN_PROGRESS",
  });
  expect(await counter.since(), "a duplicate").toEqual({ Txn: 1 });
  await expect(other.run("order:42", { fingerprint: "b" }, () => 0)).rejects.toMatchObject({
    code: "IDEMPOTENCY_MISMATCH",
  });
  expect(await counter.since(), "another payload").toEqual({ Txn: 1 });
  gate.resolve(42);
  expect(await running).toMatchObject({ value: 42, record: "stored" });
  expect(await counter.since(), "the end").toEqual({ Txn: 1 });
  expect(await other.run("order:42", { fingerprint: "a" }, () => 0)).toMatchObject({ replayed: true });
  expect(await counter.since(), "a replay").toEqual({ Txn: 1 });
  await expect(other.run("order:42", { fingerprint: "b" }, () => 0)).rejects.toMatchObject({
    code: "IDEMPOTENCY_MISMATCH",
  });
  expect(await counter.since(), "another payload, after the end").toEqual({ Txn: 1 });
});

test("a takeover is 2 transactions, and so is beginning again what was released", async () => {
  const { charges } = await warmedForExecutions({ classifyResult: () => "released" });
  const lost = etcdBackend({ hosts: server.hosts });
  const operator = new Etcd3({ hosts: server.hosts });
  onTestFinished(async () => {
    operator.close();
    await lost[Symbol.asyncDispose]();
  });
  const record = `default:idempotency:charges/${createHash("sha256").update("order:43").digest("hex")}`;
  const begin = { record, owner: "a".repeat(32), fingerprint: fingerprintOf("a"), takeOver: true };
  const times = { leaseMs: 60_000, retentionMs: 60_000, timeoutMs: 5_000 };
  const begun = await lost.idempotency.begin({ ...begin, ...times, watched: false });
  expect(begun).toMatchObject({ kind: "begun", attempt: 1 });
  const { kvs } = await operator.kv.range({ key: Buffer.from(`leasehold/~idem/${encodeName(record)}/o`) });
  await operator.leaseClient.leaseRevoke({ ID: kvs[0]!.lease });
  await counter.since();

  for (const [attempt, what] of [
    [2, "a takeover"],
    [3, "what was released"],
  ] as const) {
    let counts: Counts = {};
    const { value } = await charges.run("order:43", { fingerprint: "a" }, async (context) => {
      counts = await counter.since();
      return context.attempt;
    });
    expect(value).toBe(attempt);
    expect(counts, what).toEqual({ Txn: 2 });
    expect(await counter.since(), "its end").toEqual({ Txn: 1 });
  }
});

test("extending any number of executions is one keepalive a period, and a read each", async () => {
  const { charges, coordinator } = await warmedForExecutions({ leaseMs: patientTtlMs });
  // Its renewals list the keys of the lease, those of the executions among them.
  await using lock = await coordinator.lock("beside them").acquire();
  const gate = Promise.withResolvers<void>();
  let begun = 0;
  const running = Array.from({ length: 50 }, (_, i) =>
    charges.run(`order-${i}`, {}, () => {
      begun++;
      return gate.promise;
    }),
  );
  await waitUntil("all have begun", () => begun === 50);
  await counter.since();
  let counts: Counts = {};
  await waitUntil("all were extended", async () => {
    counts = sum(counts, await counter.since());
    return (counts["Txn"] ?? 0) >= 50;
  });
  expect(counts["Txn"], "a read each").toBe(50);
  expect(counts["LeaseKeepAlive"]).toBeLessThanOrEqual(2);
  expect(counts["LeaseTimeToLive"] ?? 0, "lists of the lease's keys").toBeLessThanOrEqual(1);
  expect(counts["LeaseGrant"], "no lease is granted for it").toBe(undefined);
  await waitUntil("the keys were listed", async () => {
    counts = sum(counts, await counter.since());
    return (counts["LeaseTimeToLive"] ?? 0) > 0;
  });
  expect(counts["Txn"], "a key that is known is not looked at").toBe(50);
  expect(lock.isHeld()).toBe(true);
  gate.resolve();
  await Promise.all(running);
});

test("100 waiters: the end costs one question besides, whoever asks", async () => {
  const { charges: first } = await warmedForExecutions();
  const { charges: other } = await warmedForExecutions({ conflict: "wait" });
  const gate = Promise.withResolvers<string>();
  const running = first.run("order:44", {}, () => gate.promise);
  await waitUntil("it has begun", async () => (await counter.since())["Txn"] === 1);
  // The first opens the room: its watch, and a look when that stands.
  const waits = [other.run("order:44", {}, () => "never")];
  let counts: Counts = {};
  await waitUntil("it waits", async () => {
    counts = sum(counts, await counter.since());
    return counts["Watch"] === 1 && (counts["Txn"] ?? 0) >= 2;
  });
  for (let i = 1; i < 100; i++) waits.push(other.run("order:44", {}, () => "never"));
  gate.resolve("charged");
  await running;
  for (const { value, replayed } of await Promise.all(waits))
    expect([value, replayed]).toEqual(["charged", true]);
  const after = await counter.since();
  expect(
    after["Txn"],
    "the end, and a question; one more if the look at the beginning came late",
  ).toBeLessThanOrEqual(3);
});

/** How many calls those were, streams and what was said on them included. */
function callsOf(counts: Counts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function sum(a: Counts, b: Counts): Counts {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...names].map((name) => [name, (a[name] ?? 0) + (b[name] ?? 0)]));
}
