import { randomUUID } from "node:crypto";

import { createCoordinator, isLeaseholdError, type Lease } from "@leasehold/core";
import { expect, test } from "vitest";

import { unlessStalled } from "../stall/index.ts";
import { openBackend, type StoreSpec } from "../processes/store-spec.ts";
import { Ear } from "../round-trips/line-up.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const subjects: [string, () => StoreSpec][] = [
  ["memory", () => ({ kind: "memory" })],
  ["redis", () => ({ kind: "redis", url: redisServer.url })],
  ["etcd", () => ({ kind: "etcd", hosts: etcdServer.hosts })],
];

const crowd = 100;

test.each(subjects)(
  "%s: a writer behind 100 readers gets in after those before it, and before the 100 after it",
  (_, store) =>
    unlessStalled(200, () => expectWriterInTurn(store()), {
      excuses: (error) => isLeaseholdError(error, "OUTCOME_UNKNOWN"),
    }),
);

async function expectWriterInTurn(store: StoreSpec): Promise<void> {
  const ear = new Ear();
  await using coordinator = createCoordinator({
    backend: await openBackend(store),
    namespace: `read-write-${randomUUID()}`,
    onEvent: ear.hear,
  });
  const { read, write } = coordinator.readWriteLock("catalog");
  const early = await Promise.all(Array.from({ length: crowd }, () => read.acquire()));
  expect(ear.count("queued"), "readers read together").toBe(0);

  const order: string[] = [];
  const enter = (who: string) => (lease: Lease) => {
    order.push(who);
    return lease;
  };
  const writing = write.acquire().then(enter("writer"));
  await ear.heard("queued", 1);
  const late = Array.from({ length: crowd }, () => read.acquire().then(enter("reader")));
  // Looked at in the end; should the test fail before, they are no further failures.
  for (const wait of [writing, ...late]) wait.catch(() => {});
  await ear.heard("queued", 1 + crowd);
  expect(await read.tryAcquire(), "a stream of readers does not pass the writer").toBe(null);

  const [last, ...others] = early;
  await Promise.all(others.map((reader) => reader.release()));
  const { holders, line } = await coordinator.inspect("catalog", { recipe: "readWriteLock" });
  expect({ holders: holders.length, line: line.length, order }).toEqual({
    holders: 1,
    line: 1 + crowd,
    order: [],
  });
  await last?.release();
  const writer = await writing;
  expect(early.every((reader) => !reader.isHeld())).toBe(true);
  expect((await coordinator.inspect("catalog", { recipe: "readWriteLock" })).holders).toMatchObject([
    { owner: writer.owner, weight: 2 ** 31 - 1 },
  ]);
  expect(order).toEqual(["writer"]);
  await writer.release();
  const readers = await Promise.all(late);
  expect(order).toEqual(["writer", ...late.map(() => "reader")]);
  const tokens = [...early, writer, ...readers].map(({ fencingToken }) => fencingToken);
  expect(new Set(tokens).size).toBe(tokens.length);
  expect(early.every(({ fencingToken }) => fencingToken < writer.fencingToken)).toBe(true);
  expect(readers.every(({ fencingToken }) => fencingToken > writer.fencingToken)).toBe(true);
  await Promise.all(readers.map((reader) => reader.release()));
}
