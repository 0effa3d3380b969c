import { createCoordinator, type Backend, type Coordinator } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { startFaultProxy, type FaultProxy } from "@leasehold/testing";
import { Etcd3 } from "etcd3";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { checkUnstalled, patienceMs, unlessStalled } from "../stall/index.ts";
import {
  ask,
  beginRequest,
  begun,
  extend,
  finish,
  keyAt,
  ownerKey,
  recordKey,
  type StagedExecution,
} from "./executions.ts";
import { claimsOf } from "./store-keys.ts";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());
const target = ((url) => ({ host: url.hostname, port: Number(url.port) }))(new URL(hosts[0]!));

interface Process {
  readonly backend: Backend;
  readonly coordinator: Coordinator;
}

function open(url: string | readonly string[] = hosts, ttlMs = 1_000): Process {
  const backend = etcdBackend({ hosts: url }, { minTtlMs: 1_000 });
  const coordinator = createCoordinator({ backend, ttlMs });
  onTestFinished(() => coordinator.close());
  return { backend, coordinator };
}

/** Closed after the processes behind it. */
async function startProxy(): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target });
  onTestFinished(() => proxy.close());
  return proxy;
}

const ownerOf = async (record: string): Promise<string | undefined> =>
  (await keyAt(etcd, ownerKey(record)))?.value.toString();

/**
 * Holds the first request that has `match` in it, and gives what delivers it, although its caller
 * has long given up.
 */
function holdRequest(proxy: FaultProxy, match: (chunk: Buffer) => boolean): { deliver: () => Promise<void> } {
  proxy.hold("toServer", { match, limit: 1 });
  const held = proxy.until(({ bytes }) => bytes.toServer.held > 0).then(() => proxy.bytes.toServer.held);
  return {
    deliver: async () => {
      const bytes = await held;
      const { delivered } = proxy.bytes.toServer;
      // Without the cancellation that follows it.
      proxy.release("toServer", { bytes });
      await proxy.until(() => proxy.bytes.toServer.delivered >= delivered + bytes);
    },
  };
}

/**
 * A begin that is carried out when its caller has given up: on the lease of this process that
 * claims and others are on.
 */
async function carryOut(record: string, owner: string, onLeaseOf: string): Promise<void> {
  const { lease } = (await keyAt(etcd, ownerKey(onLeaseOf)))!;
  const { lease: retention } = (await keyAt(etcd, recordKey(onLeaseOf)))!;
  const value = `1:in-progress:${owner}:0:1:${"a".repeat(64)}:-`;
  await etcd.kv.txn({
    success: [
      { request_put: { key: Buffer.from(recordKey(record)), value: Buffer.from(value), lease: retention } },
      { request_put: { key: Buffer.from(ownerKey(record)), value: Buffer.from(`1:${owner}:1000`), lease } },
    ],
  });
}

test("an execution that is not extended ends, although claims keep its lease alive", async () => {
  let run = 0;
  await unlessStalled(500, () => expectToEnd(`stuck-${(run += 1)}`));
});

async function expectToEnd(name: string): Promise<void> {
  const fromNs = process.hrtime.bigint();
  const [{ backend, coordinator }, other] = [open(), open()];
  const lock = await coordinator.lock(`${name}-lock`).acquire();
  const request = beginRequest(name, { leaseMs: 1_000 });
  // Its lease counts from when it is asked for: on a busy machine, a while before the reply.
  const askedAt = performance.now();
  const stuck = await begun(backend, request);
  const [claim] = await claimsOf(etcd, `${name}-lock`);
  expect((await keyAt(etcd, ownerKey(name)))!.lease).toBe(claim!.lease);
  await vi.waitFor(async () => expect((await ask(other.backend, name)).kind).toBe("expired"), patienceMs);
  expect(performance.now() - askedAt).toBeGreaterThan(request.leaseMs - 1);
  checkUnstalled(500, fromNs, () => expect(lock.isHeld()).toBe(true));
  const next = await begun(other.backend, beginRequest(name));
  expect(next.attempt).toBe(2);
  expect(await extend(backend, stuck)).toEqual({ kind: "fenced" });
  expect(await finish(backend, stuck)).toBe("fenced");
  expect(await finish(other.backend, next)).toBe("done");
}

test("who comes back after that, and was not replaced, has it again, and keeps it", async () => {
  const [{ backend, coordinator }, other] = [open(), open()];
  await using _ = await coordinator.lock("revived-lock").acquire();
  const execution = await begun(backend, beginRequest("revived", { leaseMs: 1_000 }));
  await vi.waitFor(async () => expect(await ownerOf("revived")).toBe(undefined), patienceMs);
  for (let i = 0; i < 10; i++) {
    expect((await extend(backend, execution)).kind).toBe("extended");
    expect((await ask(other.backend, "revived")).kind).toBe("in-progress");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(await finish(backend, execution)).toBe("done");
});

test("a deletion that arrives when its execution has come back does nothing", async () => {
  const proxy = await startProxy();
  const [{ backend, coordinator }, other] = [open(proxy.url("http"), 3_000), open()];
  // Keeps the lease alive that the execution is on, through all of this.
  const lock = await coordinator.lock("late-lock").acquire();
  const execution = await begun(backend, beginRequest("late-deletion", { leaseMs: 3_000 }));
  const { lease, mod_revision } = (await keyAt(etcd, ownerKey("late-deletion")))!;
  // A read names both keys; the deletion names the owner's alone.
  const late = holdRequest(
    proxy,
    (chunk) => chunk.includes("/late-deletion/o") && !chunk.includes("/late-deletion/r"),
  );
  await proxy.until(({ bytes }) => bytes.toServer.held > 0);
  const reply = await vi.waitFor(() => extend(backend, execution), patienceMs);
  expect(reply.kind).toBe("extended");
  await late.deliver();
  // Whatever is asked now is carried out after it.
  const now = (await keyAt(etcd, ownerKey("late-deletion")))!;
  expect(now.lease, "the lease has lived through it").toBe(lease);
  expect(BigInt(now.mod_revision)).toBeGreaterThan(BigInt(mod_revision));
  expect((await ask(other.backend, "late-deletion")).kind).toBe("in-progress");
  expect(lock.isHeld()).toBe(true);
  expect(await finish(backend, execution)).toBe("done");
});

test("what one process has let lapse is nothing to its successor in another", async () => {
  const [{ backend, coordinator }, successor] = [open(), open()];
  // Its lease lives on; its owner's key is removed by hand.
  await using _ = await coordinator.lock("succeeded-lock").acquire();
  await begun(backend, beginRequest("succeeded", { leaseMs: 1_000 }));
  await etcd.delete().key(ownerKey("succeeded"));
  const next = await begun(successor.backend, beginRequest("succeeded"));
  const until = performance.now() + 2_500;
  while (performance.now() < until) {
    expect(await ownerOf("succeeded")).toBe(`1:${next.owner}:5000`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(await finish(successor.backend, next)).toBe("done");
});

test("a takeover that arrives after the owner has come back does nothing", async () => {
  const proxy = await startProxy();
  const [{ backend }, successor] = [open(), open(proxy.url("http"))];
  const execution = await begun(backend, beginRequest("come-back"));
  await begun(successor.backend, beginRequest("come-back-other"));
  await etcd.leaseClient.leaseRevoke({ ID: (await keyAt(etcd, ownerKey("come-back")))!.lease });
  // It begins the second attempt; the question before it would have begun the first.
  proxy.hold("toServer", { match: (chunk) => chunk.includes(":0:2:"), limit: 1 });
  const taking = ask(successor.backend, "come-back", { takeOver: true, timeoutMs: 5_000 });
  await proxy.until(({ bytes }) => bytes.toServer.held > 0);
  expect((await extend(backend, execution)).kind).toBe("extended");
  proxy.release("toServer");
  expect((await taking).kind).toBe("in-progress");
  expect(await finish(backend, execution)).toBe("done");
});

test("an extension that arrives after a takeover does nothing", async () => {
  const proxy = await startProxy();
  const [{ backend }, successor] = [open(proxy.url("http")), open()];
  const execution = await begun(backend, beginRequest("too-late", { timeoutMs: 5_000 }));
  // As if its lease had lapsed, while the next one lives already.
  await etcd.delete().key(ownerKey("too-late"));
  proxy.hold("toServer", { match: (chunk) => chunk.includes(`1:${execution.owner}:`), limit: 1 });
  const extending = extend(backend, execution);
  await proxy.until(({ bytes }) => bytes.toServer.held > 0);
  const next = await begun(successor.backend, beginRequest("too-late"));
  proxy.release("toServer");
  expect(await extending).toEqual({ kind: "fenced" });
  expect(await ownerOf("too-late")).toBe(`1:${next.owner}:5000`);
  expect(await finish(successor.backend, next)).toBe("done");
});

test("a begin delivered after it was taken back is released, though its lease lives on", async () => {
  const proxy = await startProxy();
  const [{ backend }, other] = [open(proxy.url("http"), 60_000), open()];
  // The leases, and a connection.
  await begun(backend, beginRequest("delayed-other", { leaseMs: 60_000 }));
  const request = beginRequest("delayed", { leaseMs: 60_000, timeoutMs: 400 });
  const late = holdRequest(proxy, (chunk) => chunk.includes("~idem/delayed/"));
  await expect(backend.idempotency.begin(request)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  const { record, owner, retentionMs } = request;
  const takeBack = { record, owner, token: null, outcome: "released", body: null, retentionMs } as const;
  const told = vi.waitFor(() => backend.idempotency.finish({ ...takeBack, timeoutMs: 1_000 }), patienceMs);
  expect(await told).toBe("missing");
  await late.deliver();
  // It was carried out, and nobody executes it.
  await vi.waitFor(
    async () => expect(await keyAt(etcd, recordKey("delayed"))).not.toBe(undefined),
    patienceMs,
  );
  await vi.waitFor(async () => expect(await ownerOf("delayed")).toBe(undefined), 15_000);
  const next = await begun(other.backend, beginRequest("delayed", { takeOver: false }));
  expect(next.attempt, "released, and not expired: nothing was executed").toBe(2);
});

test("one that nobody remembers is found by the lists of those who use its lease", async () => {
  const { backend } = open();
  const execution = await begun(backend, beginRequest("remembered", { leaseMs: 1_000 }));
  await carryOut("forgotten", "f".repeat(32), "remembered");
  await vi.waitFor(async () => {
    expect((await extend(backend, execution)).kind).toBe("extended");
    expect(await ownerOf("forgotten")).toBe(undefined);
  }, patienceMs);
  expect(await ask(backend, "forgotten")).toEqual({ kind: "expired", attempt: 1 });
  expect(await ownerOf("remembered")).toBe(`1:${execution.owner}:1000`);
});

test("or by the next of this process who begins its record", async () => {
  const { backend } = open();
  await begun(backend, beginRequest("met-other", { leaseMs: 60_000 }));
  await carryOut("met", "e".repeat(32), "met-other");
  expect((await ask(backend, "met")).kind).toBe("in-progress");
  await vi.waitFor(async () => expect(await ownerOf("met")).toBe(undefined), 15_000);
  expect(await ask(backend, "met")).toEqual({ kind: "expired", attempt: 1 });
});

test("a sweep leaves alone whoever executes, or begins, in this process", async () => {
  let run = 0;
  await unlessStalled(500, () => expectUntouched(`swept-${(run += 1)}`));
});

async function expectUntouched(name: string): Promise<void> {
  const fromNs = process.hrtime.bigint();
  const { backend, coordinator } = open();
  const lock = await coordinator.lock(`${name}-lock`).acquire();
  const executions: StagedExecution[] = [];
  for (let i = 0; i < 20; i++)
    executions.push(await begun(backend, beginRequest(`${name}-${i}`, { leaseMs: 1_000 })));
  // Something that may still arrive keeps the sweeper going; the lock's renewals list keys as well.
  const { record, owner, retentionMs } = beginRequest(`${name}-departed`);
  const takeBack = { record, owner, token: null, outcome: "released", body: null, retentionMs } as const;
  expect(await backend.idempotency.finish({ ...takeBack, timeoutMs: 1_000 })).toBe("missing");
  const until = performance.now() + 3_000;
  for (let i = 0; performance.now() < until; i++) {
    const replies = await Promise.all(executions.map((execution) => extend(backend, execution)));
    const kinds = new Set(replies.map(({ kind }) => kind));
    checkUnstalled(500, fromNs, () => expect(kinds).toEqual(new Set(["extended"])));
    const short = await begun(backend, beginRequest(`${name}-short-${i}`, { leaseMs: 1_000 }));
    expect(await finish(backend, short)).toBe("done");
  }
  const owners = await Promise.all(executions.map(({ record: name }) => ownerOf(name)));
  expect(owners).toEqual(executions.map((execution) => `1:${execution.owner}:1000`));
  checkUnstalled(500, fromNs, () => expect(lock.isHeld()).toBe(true));
  for (const execution of executions) expect(await finish(backend, execution)).toBe("done");
}
