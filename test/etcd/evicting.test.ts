import { setTimeout as sleep } from "node:timers/promises";

import { createCoordinator, type AcquireRequest, type Backend, type RenewAnswer } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { endsHttp2Response, startFaultProxy } from "@leasehold/testing";
import { Etcd3, type IKeyValue } from "etcd3";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { checkUnstalled, expectWithin, patienceMs, unlessStalled } from "../stall/index.ts";
import { claimsOf } from "./store-keys.ts";
import { lockResource } from "../lock-resource.ts";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());
const target = ((url) => ({ host: url.hostname, port: Number(url.port) }))(new URL(hosts[0]!));
const ttlMs = 2_000;

function open(at: string | readonly string[] = hosts): Backend {
  const backend = etcdBackend({ hosts: at }, { minTtlMs: 1_000 });
  onTestFinished(() => backend[Symbol.asyncDispose]());
  return backend;
}

let drawn = 0;
function request(name: string): AcquireRequest {
  const owner = (++drawn).toString(16).padStart(32, "e");
  const claim = { resource: lockResource(`default:lock:${name}`), owner, ttlMs, weight: 1 };
  return { ...claim, queue: true, value: "", maxWaiters: 10, timeoutMs: 5_000 };
}

async function joined(
  backend: Backend,
  wanted: AcquireRequest,
): Promise<AcquireRequest & { ticket: bigint }> {
  const reply = await backend.leases.acquire(wanted);
  if (reply.kind === "refused") throw new Error(`refused: ${reply.reason}`);
  return { ...wanted, ticket: reply.ticket };
}

async function keyOf(name: string): Promise<IKeyValue | undefined> {
  return (await claimsOf(etcd, name))[0];
}

/** In whole seconds, as the server tells; negative when the lease has ended. */
async function secondsLeft(id: string): Promise<number> {
  return Number((await etcd.leaseClient.leaseTimeToLive({ ID: id })).TTL);
}

test("of claims on one lease the evicted one ends after its ttl, by itself, and the others live on", async () => {
  let run = 0;
  await unlessStalled(ttlMs / 2, () => expectToEndAlone(`evicted-${(run += 1)}`));
});

async function expectToEndAlone(name: string): Promise<void> {
  const [holding, operator, stranger] = [open(), open(), open()];
  const evicted = await joined(holding, request(name));
  const kept = await joined(holding, request(`${name}-kept`));
  const shared = (await keyOf(name))!.lease;
  expect((await keyOf(`${name}-kept`))!.lease).toBe(shared);

  const fromNs = process.hrtime.bigint();
  expect(await operator.leases.evict(evicted)).toBe(true);
  const own = (await keyOf(name))!.lease;
  expect(own).not.toBe(shared);
  // Twice is no longer than once.
  await sleep(ttlMs / 2);
  expect(await operator.leases.evict(evicted)).toBe(true);
  expect((await keyOf(name))!.lease).toBe(own);

  const told: (RenewAnswer["kind"] | undefined)[] = [];
  await vi.waitFor(
    async () => {
      const answers = await holding.leases.renew([evicted, kept], { timeoutMs: 2_000 });
      told.push(...answers.map(({ kind }) => kind));
      // Nor by a process that has to ask the store which lease the claim is on.
      await stranger.leases.renew([evicted], { timeoutMs: 2_000 });
      expect(answers[0]?.kind).toBe("gone");
    },
    { timeout: patienceMs, interval: 100 },
  );
  expect(expectWithin("its end", 2 * ttlMs, { fromNs })).toBeGreaterThanOrEqual(ttlMs);
  checkUnstalled(ttlMs / 2, fromNs, () => {
    expect(new Set(told.slice(0, -2))).toEqual(new Set(["evicted", "renewed"]));
    expect(told.at(-1)).toBe("renewed");
  });
  expect(await keyOf(name)).toBe(undefined);
  expect(await secondsLeft(own)).toBeLessThan(0);
  expect((await keyOf(`${name}-kept`))!.lease).toBe(shared);
}

test("a holder that cannot be told believes for no longer than its evicted claim lives", async () => {
  await using proxy = await startFaultProxy({ target });
  const holder = createCoordinator({ backend: open(proxy.url("http")), ttlMs });
  await using rival = createCoordinator({ backend: open(), ttlMs, waitMs: 4 * ttlMs });
  const lease = await holder.lock("unreachable").acquire();
  const toldAt = new Promise<number>((resolve) =>
    lease.signal.addEventListener("abort", () => resolve(performance.now()), { once: true }),
  );
  const next = rival
    .lock("unreachable")
    .acquire()
    .then((granted) => ({ granted, at: performance.now() }));
  await vi.waitFor(async () => expect(await claimsOf(etcd, "unreachable")).toHaveLength(2), patienceMs);
  proxy.blackhole();
  expect(await rival.evict("unreachable", lease.owner)).toBe(true);
  const [told, { granted, at }] = await Promise.all([toldAt, next]);
  expect(told).toBeLessThan(at);
  expect(granted.fencingToken).toBeGreaterThan(lease.fencingToken);
  await granted.release();
  proxy.pass();
  await holder.close();
});

test("an evicted owner that acquires again is told where it stands, and lives no longer for it", async () => {
  const [holding, operator] = [open(), open()];
  const wanted = request("again");
  const first = await holding.leases.acquire(wanted);
  if (first.kind !== "granted") throw new Error(first.kind);
  await operator.leases.evict(wanted);
  const moved = await keyOf("again");
  const again = await holding.leases.acquire(wanted);
  expect(again).toEqual(first);
  expect(await keyOf("again")).toEqual(moved);
  expect(await holding.leases.renew([{ ...wanted, ticket: first.ticket }], { timeoutMs: 2_000 })).toEqual([
    { kind: "evicted" },
  ]);
  // However often it asks. Then it joins anew, as after any death.
  const anew = await vi.waitFor(
    async () => {
      const reply = await holding.leases.acquire(wanted);
      expect(reply).not.toMatchObject({ ticket: first.ticket });
      return reply;
    },
    { timeout: patienceMs, interval: 100 },
  );
  expect(anew.kind).toBe("granted");
});

test("an acquire that was never answered, and evicted since, proves nothing when it is repeated", async () => {
  await using proxy = await startFaultProxy({ target });
  const [holding, operator] = [open(proxy.url("http")), open()];
  await joined(holding, request("unproved-warm-up"));
  const wanted = request("unproved");
  const lost = proxy.cutAfterNextRequest({
    match: (chunk) => chunk.includes("unproved"),
    isReply: endsHttp2Response,
  });
  await expect(holding.leases.acquire(wanted)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  await lost;
  expect(await operator.leases.evict(wanted)).toBe(true);
  const reply = await vi.waitFor(() => holding.leases.acquire(wanted), patienceMs);
  const never = { monoMs: -Infinity, wallMs: -Infinity };
  expect(reply).toMatchObject({ kind: "granted", ttlMs, validFrom: never });
  if (reply.kind !== "granted") return;
  const claim = { ...wanted, ticket: reply.ticket };
  expect(await holding.leases.renew([claim], { timeoutMs: 2_000 })).toEqual([{ kind: "evicted" }]);
  expect(await holding.leases.release(wanted)).toBe(true);
});

test("over a slow link an evicted claim lives a ttl from when it was moved, not from when its lease was granted", async () => {
  await using proxy = await startFaultProxy({ target });
  const [holding, operator] = [open(), open(proxy.url("http"))];
  const claim = await joined(holding, { ...request("slow"), ttlMs: 3_000 });
  await operator.leases.inspect(claim.resource.name, { timeoutMs: 2_000 });
  proxy.latency(400);
  const keepingAlive = setInterval(() => void holding.leases.renew([claim], { timeoutMs: 900 }), 1_000);
  onTestFinished(() => clearInterval(keepingAlive));
  expect(await operator.leases.evict(claim)).toBe(true);
  // The move was carried out 2 s ago, the refresh 1.2 s ago, the grant 2.8 s.
  expect(await secondsLeft((await keyOf("slow"))!.lease)).toBeGreaterThanOrEqual(1);
  proxy.pass();
  expect(await holding.leases.release(claim)).toBe(true);
});

test("an evicted waiter keeps its place, is granted in its turn, and can be proposed for without losing the mark", async () => {
  const [holding, waiting, operator] = [open(), open(), open()];
  const pushes: bigint[] = [];
  waiting.leases.onGrant({ granted: ({ ticket }) => pushes.push(ticket) > 0, lookAgain: () => {} });
  const [one, two, three] = [request("turn"), request("turn"), request("turn")];
  const head = await joined(holding, one);
  const evicted = await joined(waiting, two);
  await joined(waiting, three);
  expect(await operator.leases.evict(evicted)).toBe(true);
  expect(await holding.leases.release(head)).toBe(true);
  await vi.waitFor(() => expect(pushes).toEqual([evicted.ticket]), patienceMs);
  const moved = await keyOf("turn");
  expect(await waiting.leases.propose({ ...evicted, value: "still here", sequence: 1 })).toBe(true);
  const { holders, line } = await operator.leases.inspect(evicted.resource.name, { timeoutMs: 2_000 });
  expect(holders).toMatchObject([{ owner: two.owner, value: "still here", sequence: 1, evicted: true }]);
  expect(holders[0]!.remainingMs).toBeLessThanOrEqual(ttlMs);
  expect(line).toMatchObject([{ owner: three.owner, evicted: false }]);
  expect((await keyOf("turn"))!.lease).toBe(moved!.lease);
});

test("an eviction that is held back is made good, and changes nothing when it arrives", async () => {
  await using proxy = await startFaultProxy({ target });
  const [holding, operator] = [open(), open(proxy.url("http"))];
  const claim = await joined(holding, { ...request("made-good"), ttlMs: 60_000 });
  await operator.leases.inspect(claim.resource.name, { timeoutMs: 2_000 });
  // What marks the claim, and nothing before it.
  proxy.hold("toServer", { match: (chunk) => chunk.includes(`${claim.owner}:0000000000000000!:`), limit: 1 });
  const bytes = proxy
    .until(({ bytes: { toServer } }) => toServer.held > 0)
    .then(() => proxy.bytes.toServer.held);
  await expect(operator.leases.evict({ ...claim, timeoutMs: 500 })).rejects.toMatchObject({
    code: "OUTCOME_UNKNOWN",
  });
  await vi.waitFor(async () => expect((await keyOf("made-good"))!.value.toString()).toContain("!:"), 15_000);
  const moved = await keyOf("made-good");
  const { delivered } = proxy.bytes.toServer;
  proxy.release("toServer", { bytes: await bytes });
  const due = delivered + (await bytes);
  await proxy.until(({ bytes: { toServer } }) => toServer.delivered >= due);
  expect(await operator.leases.evict(claim)).toBe(true);
  expect(await keyOf("made-good")).toEqual(moved);
  proxy.pass();
  expect(await holding.leases.release(claim)).toBe(true);
});
