import { randomUUID } from "node:crypto";

import { createCoordinator, type Coordinator } from "@leasehold/core";
import { describe, expect, test } from "vitest";

import { waitUntil } from "../servers/wait-until.ts";
import { checkUnstalled, expectWithin, unlessStalled } from "../stall/index.ts";
import { Child, type Message } from "./child.ts";
import { peakOf, type WeightedClaim } from "./semaphore-beliefs.ts";
import { SkewedClock } from "./semaphore-skewed-clock.ts";
import type { SemaphoreArgs } from "./semaphore-worker.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

/** Long beside the stalls of a busy machine: a process without a turn loses its permits. */
const ttlMs = 6_000;
const permits = 1_000;
const holdersEach = 50;
const hourMs = 3_600_000;
/** The wall clocks of the four processes: two are an hour off, and so two hours apart. */
const skewsMs = [0, hourMs, -hourMs, 0];

const subjects: [string, () => StoreSpec][] = [
  ["redis", () => ({ kind: "redis", url: redisServer.url })],
  ["etcd", () => ({ kind: "etcd", hosts: etcdServer.hosts })],
];

describe.each(subjects)("%s", (name, storeOf) => {
  test("1,000 permits, 200 holders in 4 processes: conserved under a crash, aborts and wrong clocks", async () => {
    await unlessStalled(ttlMs / 2, () => expectConserved(name, storeOf()));
  });

  test("a wall clock that is set forward costs the permits, safely; one that is set back costs nothing", async () => {
    const [store, namespace] = [storeOf(), `semaphore-${randomUUID()}`];
    const clock = new SkewedClock(-hourMs);
    const losses: unknown[] = [];
    await using stepped = await coordinate(store, namespace, {
      clock,
      onLoss: (reason) => losses.push(reason),
    });
    await using other = await coordinate(store, namespace);
    const [mine, theirs] = [stepped, other].map((each) => each.semaphore("shared", { permits: 3 }));
    const kept = await mine!.acquire({ permits: 2 });
    clock.step(-hourMs);
    expect(kept.isHeld()).toBe(true);
    expect(kept.remainingMs).toBeGreaterThan(0);
    expect(kept.remainingMs, "no older, and no younger either").toBeLessThanOrEqual(ttlMs);
    const waiting = theirs!.acquire({ permits: 2 }).then((lease) => ({ lease, stillHeld: kept.isHeld() }));

    clock.step(3 * hourMs);
    expect(kept.isHeld(), "at the first look").toBe(false);
    expect(losses).toEqual(["expired"]);
    expect(await kept.release()).toBe("gone");
    const { lease, stillHeld } = await waiting;
    expect({ held: lease.isHeld(), stillHeld }).toEqual({ held: true, stillHeld: false });
    // Loss is an ordinary event: the same process, on its stepped clock, may acquire again at once.
    const again = await mine!.acquire();
    expect(again.isHeld()).toBe(true);
    await Promise.all([lease.release(), again.release()]);
  });
});

test("the check: sums are of what was held at once, and of nothing else", () => {
  const span = (token: bigint, weight: number, from: bigint, to: bigint): WeightedClaim[] =>
    [from, to].map((atNs) => ({ token, weight, atNs }));
  expect(peakOf([])).toEqual({ tokens: 0, weight: 0 });
  expect(peakOf([...span(1n, 4, 0n, 9n), ...span(2n, 3, 10n, 20n)])).toEqual({ tokens: 2, weight: 4 });
  expect(peakOf([...span(1n, 4, 0n, 10n), ...span(2n, 3, 10n, 20n)])).toEqual({ tokens: 2, weight: 7 });
  expect(peakOf([...span(1n, 4, 0n, 30n), ...span(2n, 3, 5n, 6n), ...span(3n, 2, 7n, 8n)])).toEqual({
    tokens: 3,
    weight: 7,
  });
});

async function expectConserved(name: string, store: StoreSpec): Promise<void> {
  const startedAtNs = process.hrtime.bigint();
  const namespace = `semaphore-${randomUUID()}`;
  await using pool = new AsyncDisposableStack();
  const children = skewsMs.map((skewMs) => {
    const args: SemaphoreArgs = { store, namespace, ttlMs, permits, holders: holdersEach, skewMs };
    return pool.use(new Child("semaphore-worker.ts", args));
  });
  const coordinator = pool.use(await coordinate(store, namespace));
  await Promise.all(children.map((child) => child.heard("ready")));
  for (const child of children) child.tell("start");
  const isWell = (): void => expectNoFailure(children, startedAtNs);
  await busyFor(children, 100, isWell);

  const [victim, ...survivors] = children.toReversed() as [Child, ...Child[]];
  // It takes permits with it into its grave.
  victim.tell("hang");
  await victim.heard("hangs");
  victim.kill("SIGKILL");
  await victim.ending();
  const killedAtNs = victim.endedAtNs ?? 0n;
  // All of them, those of the dead included; and nobody overtakes, so this many are not starved by
  // few.
  const all = await coordinator.semaphore("shared", { permits }).acquire({ permits });
  const allAtNs = process.hrtime.bigint();
  expect(all.isHeld()).toBe(true);
  await all.release();
  await busyFor(survivors, 100, isWell);
  for (const child of survivors) child.tell("stop");
  const endings = await Promise.all(survivors.map((child) => child.ending()));

  expect(endings).toEqual(survivors.map(() => ({ code: 0, signal: null })));
  isWell();
  expect(children.flatMap((child) => child.troubles)).toEqual([]);
  expect(children.map((child) => child.output)).toEqual(children.map(() => ""));
  const claims = children.flatMap((child) => child.all("held").map(claimOf));
  const peak = peakOf([...claims, { token: all.fencingToken, weight: permits, atNs: allAtNs }]);
  const sumOf = (field: string): number =>
    survivors.reduce((sum, child) => sum + Number(child.all("done")[0]?.[field]), 0);
  const tookMs = Number(allAtNs - killedAtNs) / 1e6;
  console.log(
    `semaphore on ${name}: ${peak.tokens} leases, at most ${peak.weight} of ${permits} permits at once; ` +
      `those of a killed process back after ${Math.round(tookMs)} ms (ttl ${ttlMs} ms); ` +
      `${sumOf("abandoned")} waits abandoned, ${sumOf("unknown")} calls of unknown outcome`,
  );
  expect(peak.weight).toBeLessThanOrEqual(permits);
  expect(peakOf(claims).weight, "too few at once to prove anything").toBeGreaterThan(permits / 2);
  expect(sumOf("abandoned")).toBeGreaterThan(0);
  const isEmpty = async (): Promise<boolean> => {
    const { holders, line } = await coordinator.inspect("shared", { recipe: "semaphore" });
    return holders.length + line.length === 0;
  };
  // What a call of unknown outcome left ends by itself, within a ttl. Nothing else may be left even
  // for that long.
  if (sumOf("unknown") > 0) await waitUntil("nothing is left behind", isEmpty);
  expect(await isEmpty(), "nothing is left behind").toBe(true);
  expectWithin("the permits of the dead", 2 * ttlMs, { fromNs: killedAtNs, toNs: allAtNs });
  const lost = children.flatMap((child) => child.all("lost"));
  checkUnstalled(ttlMs / 2, startedAtNs, () => expect(lost).toEqual([]));
}

async function coordinate(
  store: StoreSpec,
  namespace: string,
  { clock, onLoss }: { clock?: SkewedClock; onLoss?: (reason: string) => void } = {},
): Promise<Coordinator> {
  return createCoordinator({
    backend: await openBackend(store, { clock }),
    namespace,
    ttlMs,
    onEvent: (event) => {
      if (event.type === "lost") onLoss?.(event.reason);
    },
  });
}

/** Whether the store is out of reach, only a run without long stalls has to answer for. */
function expectNoFailure(children: readonly Child[], sinceNs: bigint): void {
  const failed = children.flatMap((child) => child.all("failed"));
  const unreachable = failed.filter(({ code }) => code === "BACKEND_UNAVAILABLE");
  expect(failed.filter((each) => !unreachable.includes(each))).toEqual([]);
  checkUnstalled(ttlMs / 2, sinceNs, () => expect(unreachable).toEqual([]));
}

/** Until each of them has been granted so many times more. */
async function busyFor(children: readonly Child[], grants: number, isWell: () => void): Promise<void> {
  const before = children.map((child) => child.all("held").length);
  await waitUntil(`${grants} more grants each`, () => {
    isWell();
    return children.every((child, index) => child.all("held").length >= (before[index] ?? 0) + 2 * grants);
  });
}

function claimOf(message: Message): WeightedClaim {
  const { token, weight, atNs } = message;
  return { token: BigInt(String(token)), weight: Number(weight), atNs: BigInt(String(atNs)) };
}
