import type { Backend, Degradation } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { Etcd3 } from "etcd3";
import { afterAll, beforeEach, expect, onTestFinished, test } from "vitest";

import { ask, beginRequest, begun, extend, finish, keyAt, ownerKey, recordKey } from "./executions.ts";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());

let lease: string;
beforeEach(async () => {
  lease = String((await etcd.leaseClient.leaseGrant({ TTL: 60 })).ID);
});

const owner = "b".repeat(32);
const head = `:${owner}:`;
const completed = `1:completed:${owner}:7:1:${"a".repeat(64)}:`;
const running = `1:in-progress:${owner}:0:1:${"a".repeat(64)}:-`;

const hostileRecords: [what: string, value: string | Buffer][] = [
  ["nothing", ""],
  ["bytes", Buffer.from([0xff, 0x00, 0xfe, 0x31])],
  ["a result with bytes in it", Buffer.concat([Buffer.from(`${completed}+`), Buffer.from([0xff])])],
  ["another version", `2${completed.slice(1)}+{}`],
  ["another state", `1:__proto__${head}7:1:${"a".repeat(64)}:-`],
  ["JSON with a prototype", '{"__proto__":{"kind":"finished"},"constructor":{"prototype":{"x":1}}}'],
  ["a million brackets", "[".repeat(1_000_000)],
  ["a huge number", `1:completed${head}${"9".repeat(1_000_000)}:1:${"a".repeat(64)}:-`],
  ["a negative attempt", `1:completed${head}7:-1:${"a".repeat(64)}:-`],
  ["a short record", "1:completed"],
  ["a claim", `${owner}:${"0".repeat(16)}:{}`],
];

function open(): { backend: Backend; told: Degradation[] } {
  const backend = etcdBackend({ hosts }, { minTtlMs: 1_000 });
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  const told: Degradation[] = [];
  backend.onDegraded((degradation) => told.push(degradation));
  return { backend, told };
}

let names = 0;

/**
 * Begins a record, lets `spoil` write over its keys, and expects every call to refuse it, and to
 * leave it as it is.
 */
async function expectRefused(spoil: (record: string) => Promise<unknown>, calls = 3): Promise<void> {
  const { backend, told } = open();
  const record = `hostile-${process.pid}-${names++}`;
  const execution = await begun(backend, beginRequest(record, { owner }));
  await spoil(record);
  const lies = async (): Promise<unknown> =>
    Promise.all([recordKey(record), ownerKey(record)].map((key) => keyAt(etcd, key)));
  const before = await lies();
  const refusing = [
    () => ask(backend, record, { takeOver: true }),
    () => extend(backend, execution),
    () => finish(backend, execution),
  ].slice(0, calls);
  for (const call of refusing) {
    await expect(call()).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
    expect(told.pop()).toMatchObject({
      reason: "malformed-record",
      message: expect.stringContaining(record),
    });
  }
  expect(await lies()).toEqual(before);
  expect({}).not.toHaveProperty("x");
}

test.each(hostileRecords)("a record that is %s: refused for good, told, and left as it is", (_, value) =>
  expectRefused((record) =>
    etcd.kv.put({ key: Buffer.from(recordKey(record)), value: Buffer.from(value), lease }),
  ),
);

test("a record that would never end is none of ours", () =>
  expectRefused((record) =>
    etcd.kv.put({ key: Buffer.from(recordKey(record)), value: Buffer.from(`${completed}-`) }),
  ));

test.each([
  ["nothing", ""],
  ["of another version", `2${head}1000`],
  ["a million brackets", "[".repeat(1_000_000)],
  ["somebody's, but not the record's", `1:${"c".repeat(32)}:1000`],
])("an owner that is %s keeps its record from others; its execution still finishes", async (_, value) => {
  // `finish` compares the record alone, which is as it was begun.
  await expectRefused(
    (record) => etcd.kv.put({ key: Buffer.from(ownerKey(record)), value: Buffer.from(value), lease }),
    2,
  );
});

test("an owner of a record that has ended is not ours", () =>
  expectRefused(async (record) => {
    await etcd.kv.put({ key: Buffer.from(recordKey(record)), value: Buffer.from(`${completed}+{}`), lease });
  }));

test("an owner without a record, as an operator leaves it, is no obstacle", async () => {
  const { backend } = open();
  const record = `orphan-${process.pid}`;
  const first = await begun(backend, beginRequest(record));
  await etcd.delete().key(recordKey(record));
  expect(await extend(backend, first)).toEqual({ kind: "missing" });
  const second = await begun(backend, beginRequest(record));
  expect(second.attempt).toBe(1);
  expect(second.token).toBeGreaterThan(first.token);
  expect(await finish(backend, second)).toBe("done");
});

test("a record copied back by hand, on a lease, is taken for what it says", async () => {
  const { backend } = open();
  const record = `copied-${process.pid}`;
  await etcd.kv.put({ key: Buffer.from(recordKey(record)), value: Buffer.from(running), lease });
  expect(await ask(backend, record)).toEqual({ kind: "expired", attempt: 1 });
  expect(await begun(backend, beginRequest(record))).toMatchObject({ attempt: 2 });
});
