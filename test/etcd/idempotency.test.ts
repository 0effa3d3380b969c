import { etcdBackend } from "@leasehold/etcd";
import type { Backend, BeginRequest } from "@leasehold/core";
import { Etcd3 } from "etcd3";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { patienceMs } from "../stall/index.ts";
import { startEtcd } from "../servers/index.ts";
import { ask, beginRequest, begun, extend, finish, keyAt, ownerKey, recordKey } from "./executions.ts";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());

function open(at: readonly string[] = hosts): Backend {
  const backend = etcdBackend({ hosts: at }, { minTtlMs: 1_000 });
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  return backend;
}

const leaseAt = async (key: string): Promise<string> => String((await keyAt(etcd, key))?.lease);

async function lifeOf(lease: string): Promise<{ grantedMs: number; leftMs: number }> {
  const { TTL, grantedTTL } = await etcd.leaseClient.leaseTimeToLive({ ID: lease });
  return { grantedMs: Number(grantedTTL) * 1000, leftMs: Number(TTL) * 1000 };
}

test("records of one retention share a lease, which lives for the retention and an eighth; ended ones another", async () => {
  const backend = open();
  const retentionMs = 80_000;
  const executions = await Promise.all(
    Array.from({ length: 100 }, (_, i) => begun(backend, beginRequest(`shared-${i}`, { retentionMs }))),
  );
  const leases = async (key: (record: string) => string): Promise<Set<string>> =>
    new Set(await Promise.all(executions.map(({ record }) => leaseAt(key(record)))));
  const running = await leases(recordKey);
  expect(running.size).toBe(1);
  expect((await leases(ownerKey)).size).toBe(1);
  for (const execution of executions) expect(await finish(backend, execution)).toBe("done");
  const ended = await leases(recordKey);
  expect(ended.size).toBe(1);
  expect([...ended]).not.toEqual([...running]);
  const { grantedMs, leftMs } = await lifeOf([...ended][0]!);
  expect(grantedMs).toBe(90_000);
  expect(leftMs).toBeGreaterThan(80_000);
});

test("extending moves the retention, of records in progress alone", async () => {
  const backend = open();
  const times = { leaseMs: 1_000, retentionMs: 1_000 };
  const ended = await begun(backend, beginRequest("retained-ended", times));
  expect(await finish(backend, ended)).toBe("done");
  const lost = await begun(open(), beginRequest("retained-lost", times));
  const execution = await begun(backend, beginRequest("retained-running", times));
  const until = performance.now() + 5_000;
  while (performance.now() < until) {
    expect((await extend(backend, execution)).kind).toBe("extended");
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(await finish(backend, execution)).toBe("done");
  // 2 s at most, and a little for the server to notice.
  for (const { record } of [ended, lost]) expect(await keyAt(etcd, recordKey(record))).toBe(undefined);
  expect(await extend(backend, lost)).toEqual({ kind: "missing" });
  expect(await finish(backend, ended)).toBe("missing");
});

test("an extension proves a lease of which a sixth is over at most, and shares what was proved just now", async () => {
  const backend = open();
  const execution = await begun(backend, beginRequest("proved", { leaseMs: 3_000 }));
  const proofOf = async (): Promise<number> => {
    const reply = await extend(backend, execution);
    return reply.kind === "extended" ? reply.validFrom.monoMs : NaN;
  };
  await new Promise((resolve) => setTimeout(resolve, 600));
  const before = backend.clock.now().monoMs;
  const first = await proofOf();
  expect(first).toBeGreaterThanOrEqual(before);
  expect(await proofOf()).toBe(first);
  expect(await finish(backend, execution)).toBe("done");
});

test("close leaves results, lets unfinished executions lapse, and revokes what nobody needs", async () => {
  const a = open();
  const b = open();
  const times = { leaseMs: 2_000, retentionMs: 60_000 };
  const ended = await begun(a, beginRequest("closed-ended", times));
  expect(await finish(a, ended)).toBe("done");
  const unused = await begun(a, beginRequest("closed-unused", { ...times, leaseMs: 3_000 }));
  const sessionOfUnused = await leaseAt(ownerKey(unused.record));
  expect(await finish(a, unused, { outcome: "released", body: null })).toBe("done");
  const running = await begun(a, beginRequest("closed-running", times));
  await a[Symbol.asyncDispose]();
  for (const call of [() => ask(a, "x"), () => extend(a, running), () => finish(a, running)])
    await expect(call()).rejects.toMatchObject({ code: "CLOSED" });
  expect((await lifeOf(sessionOfUnused)).leftMs).toBeLessThan(0);
  expect(await ask(b, ended.record)).toMatchObject({ kind: "finished", body: "result" });
  expect((await ask(b, running.record)).kind).toBe("in-progress");
  await vi.waitFor(async () => expect((await ask(b, running.record)).kind).toBe("expired"), patienceMs);
  expect(await ask(b, ended.record)).toMatchObject({ kind: "finished", body: "result" });
});

test("an execution whose lease was lost is extended on another, unless somebody has taken over", async () => {
  const [a, b] = [open(), open()];
  const [kept, taken] = await Promise.all(
    ["lapsed-kept", "lapsed-taken"].map((record) => begun(a, beginRequest(record))),
  );
  const lease = await leaseAt(ownerKey(kept!.record));
  await etcd.leaseClient.leaseRevoke({ ID: lease });
  const successor = await begun(b, beginRequest(taken!.record));
  expect(successor).toMatchObject({ attempt: 2 });
  const before = a.clock.now();
  const reply = await extend(a, kept!);
  expect(reply).toMatchObject({ kind: "extended", leaseMs: 5_000 });
  expect(reply.kind === "extended" && reply.validFrom.monoMs).toBeGreaterThanOrEqual(before.monoMs);
  expect(await leaseAt(ownerKey(kept!.record))).not.toBe(lease);
  expect((await ask(b, kept!.record)).kind).toBe("in-progress");
  expect(await keyAt(etcd, recordKey(kept!.record))).toMatchObject({ mod_revision: String(kept!.token) });
  expect(await extend(a, taken!)).toEqual({ kind: "fenced" });
  expect(await finish(a, taken!)).toBe("fenced");
  expect(await finish(b, successor)).toBe("done");
  expect(await finish(a, kept!)).toBe("done");
});

test("a lease that vanished before anybody noticed: begin and finish are granted others within the same call", async () => {
  const backend = open();
  const first = await begun(backend, beginRequest("vanished-1"));
  for (const key of [ownerKey, recordKey])
    await etcd.leaseClient.leaseRevoke({ ID: await leaseAt(key(first.record)) });
  const second = await begun(backend, beginRequest("vanished-2"));
  expect(await finish(backend, second)).toBe("done");
  await etcd.leaseClient.leaseRevoke({ ID: await leaseAt(recordKey(second.record)) });
  const third = await begun(backend, beginRequest("vanished-3"));
  expect(await finish(backend, third)).toBe("done");
  expect(await ask(backend, third.record)).toMatchObject({ kind: "finished" });
  expect(await finish(backend, first)).toBe("missing");
});

test("another backend, which has not begun it, extends and finishes it all the same", async () => {
  const [a, b] = [open(), open()];
  const execution = await begun(a, beginRequest("elsewhere"));
  expect((await extend(b, execution)).kind).toBe("extended");
  expect(await finish(b, execution)).toBe("done");
  expect(await finish(a, execution)).toBe("done");
  const { token } = execution;
  expect(await ask(a, "elsewhere")).toMatchObject({ kind: "finished", body: "result", token, attempt: 1 });
});

test("the largest body is stored, and told to those who ask", async () => {
  const backend = open();
  const body = "é".repeat(backend.idempotency.maxBodyBytes / 2);
  const execution = await begun(backend, beginRequest("large"));
  expect(await finish(backend, execution, { body })).toBe("done");
  const replies = await Promise.all(Array.from({ length: 10 }, () => ask(backend, "large")));
  for (const reply of replies) expect(reply.kind === "finished" && reply.body === body).toBe(true);
});

test("a server restarted between begin and finish, and after it, changes nothing", async ({ skip }) => {
  await using server = await startEtcd({ log: () => {} });
  if (!server.canSabotage) skip("the etcd comes from the environment, and others may use it");
  const [a, b] = [open(server.hosts), open(server.hosts)];
  const patient: Partial<BeginRequest> = { leaseMs: 30_000, timeoutMs: 5_000 };
  const [execution, another] = await Promise.all(
    ["restarted", "restarted-too"].map((record) => begun(a, beginRequest(record, patient))),
  );
  await server.restart();
  const askAgain = <T>(call: () => Promise<T>): Promise<T> => vi.waitFor(call, patienceMs);
  expect(await askAgain(() => finish(a, execution!))).toBe("done");
  expect((await extend(a, another!)).kind).toBe("extended");
  expect((await askAgain(() => ask(b, another!.record, patient))).kind).toBe("in-progress");
  await server.restart();
  const replayed = await askAgain(() => ask(b, execution!.record, patient));
  expect(replayed).toMatchObject({ kind: "finished", token: execution!.token, body: "result" });
  expect(await finish(a, another!)).toBe("done");
});
