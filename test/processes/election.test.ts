import { setTimeout as sleep } from "node:timers/promises";

import { startFaultProxy, type FaultProxy } from "@leasehold/testing";
import { describe, expect, test } from "vitest";

import { startEtcd, startRedis, type ManagedServer } from "../servers/index.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { checkUnstalled, expectWithin, unlessStalled } from "../stall/index.ts";
import { ElectionScenario, looksOf, seenBy, type Term } from "./election-scenario.ts";
import type { StoreSpec } from "./store-spec.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const ttlMs = 2_000;
const candidates = 5;

interface Subject {
  /** One that is killed here, and keeps its data. */
  readonly start: () => Promise<ManagedServer>;
  readonly at: (address: { host: string; port: number }) => StoreSpec;
  readonly shared: () => StoreSpec;
}

const subjects: [string, Subject][] = [
  [
    "redis",
    {
      start: () => startRedis({ persistence: "aof" }),
      at: ({ host, port }) => ({ kind: "redis", url: `redis://${host}:${port}` }),
      shared: () => ({ kind: "redis", url: redisServer.url }),
    },
  ],
  [
    "etcd",
    {
      start: () => startEtcd(),
      at: ({ host, port }) => ({ kind: "etcd", hosts: [`http://${host}:${port}`] }),
      shared: () => ({ kind: "etcd", hosts: etcdServer.hosts }),
    },
  ],
];

test.each(subjects)("%s: 5 candidates, one leader at a time, whatever happens to it", (name, subject) =>
  unlessStalled(ttlMs / 2, () => expectOneLeader(name, subject)),
);

async function expectOneLeader(name: string, { start, at }: Subject): Promise<void> {
  const startedAtNs = process.hrtime.bigint();
  await using server = await start();
  await using scenario = await ElectionScenario.open(at(server.address), { ttlMs, observers: 2 });
  await using ways = new AsyncDisposableStack();
  const wayOf = new Map<unknown, FaultProxy>();
  const add = async (): Promise<void> => {
    const way = ways.use(await startFaultProxy({ target: server.address }));
    wayOf.set(await scenario.add(at(way)), way);
  };
  for (let index = 0; index < candidates; index++) await add();
  await scenario.linedUp();
  let current: Term = await scenario.termAfter(0n);
  const took: string[] = [];

  const killed = await scenario.killLeader(current);
  took.push(`killed ${Math.round(killed.afterMs)} ms`);
  await add();

  // Stopped for two ttls: its successor leads when it goes on, and what it writes is refused.
  current = killed;
  await scenario.serves(current, 5);
  const stopped = current;
  stopped.leader.kill("SIGSTOP");
  const stoppedAtMs = performance.now();
  current = await scenario.termAfter(stopped.term);
  took.push(`stopped ${Math.round(performance.now() - stoppedAtMs)} ms`);
  await sleep(2 * ttlMs - (performance.now() - stoppedAtMs));
  stopped.leader.kill("SIGCONT");
  await stopped.leader.heard("refused");
  await scenario.linedUp();

  // Behind a black hole: its connections stay open, and nothing passes.
  const cut = current;
  wayOf.get(cut.leader)?.blackhole();
  const cutAtMs = performance.now();
  current = await scenario.termAfter(cut.term);
  took.push(`cut off ${Math.round(performance.now() - cutAtMs)} ms`);
  await cut.leader.heard("stepped down");
  wayOf.get(cut.leader)?.pass();
  await scenario.linedUp();

  if (server.canSabotage) {
    await server.kill();
    const killedAtNs = process.hrtime.bigint();
    await server.start();
    // A look later than this was renewed by the server that came back, or is another leader's.
    const beyondNs = killedAtNs + BigInt(ttlMs) * 1_000_000n;
    const leads = (): boolean =>
      scenario.terms.some(({ leader }) => looksOf(leader).some(({ atNs }) => atNs > beyondNs));
    await waitUntil("somebody leads after the server's death", leads);
    took.push(`server restarted ${Math.round(Number(process.hrtime.bigint() - killedAtNs) / 1e6)} ms`);
    await scenario.linedUp();
  }

  const last = await scenario.killLeader(scenario.terms.at(-1)!);
  await scenario.serves(last, 5);
  for (const observer of scenario.observers)
    await waitUntil("seen", () => seenBy(observer).at(-1)?.term === last.term);
  const { refused } = await scenario.finish();
  expect(refused, "the stopped leader's write, at least").toBeGreaterThan(0);
  checkUnstalled(ttlMs / 2, startedAtNs, () => {
    for (const observer of scenario.observers) {
      const leaders = seenBy(observer).filter((leader) => leader !== null);
      expect(leaders.map(({ term }) => term)).toEqual(scenario.terms.map(({ term }) => term));
    }
  });
  console.log(`election on ${name}, ttl ${ttlMs} ms: ${took.join(", ")}; ${refused} stale writes refused`);
}

describe.each(subjects)("%s", (name, { shared }) => {
  test("after a resign the next leader begins long before the claim would have expired, ten times over", async () => {
    const ownTtlMs = 5_000;
    await using scenario = await ElectionScenario.open(shared(), { ttlMs: ownTtlMs });
    await Promise.all(Array.from({ length: candidates }, () => scenario.add()));
    const tookMs: number[] = [];
    for (let handOver = 0; handOver < 10; handOver++) {
      await scenario.linedUp();
      const leading = scenario.terms.at(-1)!;
      await scenario.serves(leading, 2);
      leading.leader.tell("resign");
      const next = await scenario.termAfter(leading.term);
      const isSaid = (): boolean =>
        leading.leader
          .all("resigned")
          .some(({ term, outcome }) => term === String(leading.term) && outcome === "released");
      await waitUntil("the resign resolves", isSaid);
      const resigned = leading.leader.all("resigned").at(-1)!;
      const span = { fromNs: BigInt(String(resigned["atNs"])), toNs: next.atNs };
      // Renewed after a third at the latest: two thirds are left before the store could have
      // granted by itself.
      tookMs.push(expectWithin("the hand-over", ownTtlMs / 2, span));
    }
    await scenario.finish();
    tookMs.sort((a, b) => a - b);
    const [p50, max] = [tookMs[5]!, tookMs.at(-1)!];
    console.log(`hand-over after resign on ${name}: p50 ${p50.toFixed(1)} ms, max ${max.toFixed(1)} ms`);
  });
});
