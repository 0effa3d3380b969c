import { randomUUID } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";

import { createCoordinator } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";
import { checkFencedExclusion, checkTokenOrder, findOverlaps, jainIndex } from "@leasehold/testing";
import { expect, onTestFinished, test } from "vitest";

import { Child, type Message } from "./child.ts";
import { contend, type Contention, type GrantRecord } from "./contender.ts";
import { FencedResource } from "./fenced-resource.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { checkUnstalled, unlessStalled } from "../stall/index.ts";
import type { StoreSpec } from "./store-spec.ts";
import type { ExclusionArgs } from "./worker.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const ttlMs = 5_000;
const processes = 4;
const workersEach = 8;
const workers = processes * workersEach;
/**
 * So many make a run: each of the 32 workers has had the lock many times, however long that takes.
 */
const enoughGrants = { memory: 12_800, redis: 3_200, etcd: 640 };

test("memory: 32 workers in one process exclude each other", async () => {
  await using resource = await FencedResource.listen();
  await using coordinator = createCoordinator({ backend: memoryBackend(), ttlMs });
  // A turn of the event loop between claim and write, as a remote resource would take: here the
  // others get their chance.
  const access = {
    claim: async (token: bigint) => (await turn(), resource.attempt("claim", token)),
    write: async (token: bigint, value: number) => (await turn(), resource.attempt("write", token, value)),
  };
  const lock = coordinator.lock("shared");
  const isOver = (): boolean => resource.value >= enoughGrants.memory;
  const grants = await Promise.all(Array.from({ length: workers }, () => contend(lock, access, isOver)));
  assertExclusive("memory", grants, resource, (check) => check());
});

test("redis: 4 processes x 8 workers exclude each other", async () => {
  await unlessStalled(ttlMs / 2, () =>
    assertProcessesExclude({ kind: "redis", url: redisServer.url }, "redis"),
  );
});

test("etcd: 4 processes x 8 workers exclude each other", async () => {
  await unlessStalled(ttlMs / 2, () =>
    assertProcessesExclude({ kind: "etcd", hosts: etcdServer.hosts }, "etcd"),
  );
});

async function assertProcessesExclude(store: StoreSpec, name: "redis" | "etcd"): Promise<void> {
  const startedAtNs = process.hrtime.bigint();
  await using resource = await FencedResource.listen();
  const args: ExclusionArgs = {
    store,
    namespace: `exclusion-${randomUUID()}`,
    ttlMs,
    workers: workersEach,
    port: resource.port,
  };
  const children = Array.from({ length: processes }, () => new Child("worker.ts", args));
  onTestFinished(async () => {
    await Promise.all(children.map((child) => child[Symbol.asyncDispose]()));
  });
  await Promise.all(children.map((child) => child.heard("ready")));
  for (const child of children) child.tell("start");
  for (let before = 0; before < enoughGrants[name]; before = resource.value)
    await waitUntil("another grant", () => resource.value > before);
  for (const child of children) child.tell("stop");

  const endings = await Promise.all(children.map((child) => child.ending()));
  expect(children.flatMap((child) => child.troubles)).toEqual([]);
  expect(children.map((child) => child.output)).toEqual(children.map(() => ""));
  expect(endings).toEqual(children.map(() => ({ code: 0, signal: null })));
  assertExclusive(
    name,
    children.flatMap((child) => child.all("worker")).map(contentionOf),
    resource,
    (check) => {
      const failed = children.flatMap((child) => child.all("failed"));
      checkUnstalled(ttlMs / 2, startedAtNs, () => {
        expect(failed).toEqual([]);
        check();
      });
    },
  );
}

function assertExclusive(
  store: keyof typeof enoughGrants,
  contentions: readonly Contention[],
  resource: FencedResource,
  judge: (check: () => void) => void,
): void {
  const byWorker = contentions.map(({ grants: each }) => each);
  const unknown = contentions.reduce((sum, each) => sum + each.unknown, 0);
  const grants = byWorker.flat();
  const points = grants.flatMap(({ token, heldAtNs }) => heldAtNs.map((atNs) => ({ token, atNs })));
  const overlap = findOverlaps(points);
  const jain = jainIndex(byWorker.map(({ length }) => length));
  const fenced = checkFencedExclusion(resource.attempts);
  const longestMs = Number(overlap.longest?.lengthNs ?? 0n) / 1e6;
  console.log(
    `exclusion on ${store}: ${grants.length} grants by ${byWorker.length} workers, jain ${jain.toFixed(5)}, ` +
      `${overlap.overlaps} overlaps (longest ${longestMs} ms), ${fenced.accepted} accepted, ${fenced.refused} refused, ${unknown} calls of unknown outcome`,
  );

  expect(overlap.overlaps).toBe(0);
  expect(fenced.violations).toEqual([]);
  const inGrantOrder = grants
    .filter(({ heldAtNs }) => heldAtNs.length > 0)
    .toSorted((a, b) => (firstNs(a) < firstNs(b) ? -1 : 1));
  expect(checkTokenOrder(inGrantOrder.map(({ token }) => token))).toEqual([]);
  const claimed = resource.attempts.filter(({ operation, accepted }) => operation === "claim" && accepted);
  expect(checkTokenOrder(claimed.map(({ token }) => token))).toEqual([]);
  // Only a holder that gets no turn for a ttl loses its lease, and only such a one is refused, or
  // does not write.
  judge(() => {
    expect(byWorker).toHaveLength(workers);
    expect(overlap.tokens).toBe(grants.length);
    expect(fenced.refused).toBe(0);
    // The same run seen by the resource: each holder claimed once and wrote once, and no update was
    // lost.
    expect(fenced.accepted).toBe(2 * grants.length);
    expect(resource.value).toBe(grants.length);
    expect(jain).toBeGreaterThanOrEqual(0.99);
  });
}

function firstNs({ heldAtNs: [first] }: GrantRecord): bigint {
  if (first === undefined) throw new Error("a lease that was never held was recorded");
  return first;
}

function contentionOf(message: Message): Contention {
  const said = message["grants"] as { token: string; heldAtNs: string[] }[];
  const grants = said.map(({ token, heldAtNs }) => ({
    token: BigInt(token),
    heldAtNs: heldAtNs.map((atNs) => BigInt(atNs)),
  }));
  return { grants, unknown: Number(message["unknown"]) };
}
