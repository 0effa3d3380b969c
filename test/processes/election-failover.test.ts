import { expect, test } from "vitest";

import { waitUntil } from "../servers/wait-until.ts";
import { checkUnstalled, expectWithin, unlessStalled } from "../stall/index.ts";
import { ElectionScenario, seenBy, type Term } from "./election-scenario.ts";
import type { StoreSpec } from "./store-spec.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const ttlMs = 1_000;
const kills = 20;

const subjects: [string, () => StoreSpec][] = [
  ["redis", () => ({ kind: "redis", url: redisServer.url })],
  ["etcd", () => ({ kind: "etcd", hosts: etcdServer.hosts })],
];

test.each(subjects)(
  "%s: the leader is killed 20 times; every observer sees every term, and the vacancy when nobody is left",
  (name, storeOf) => unlessStalled(ttlMs / 2, () => expectFailovers(name, storeOf())),
);

async function expectFailovers(name: string, store: StoreSpec): Promise<void> {
  const startedAtNs = process.hrtime.bigint();
  await using scenario = await ElectionScenario.open(store, { ttlMs, observers: 2 });
  await Promise.all([scenario.add(), scenario.add(), scenario.add()]);
  let current: Term = await scenario.termAfter(0n);
  const failovers: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    // Not for the observers: a term is to be seen because it lasts, not because it is waited for.
    await scenario.serves(current, 3 + Math.floor(Math.random() * 10));
    await scenario.linedUp();
    const replacement = scenario.add();
    const next = await scenario.killLeader(current);
    await replacement;
    failovers.push(next.afterMs);
    current = next;
  }

  await scenario.linedUp();
  await scenario.killAll(current);
  const vacantAtNs = process.hrtime.bigint();
  const seesVacancy = (): boolean => scenario.observers.every((observer) => seenBy(observer).at(-1) === null);
  await waitUntil("the vacancy is seen", seesVacancy);
  expectWithin("the vacancy", 3 * ttlMs, { fromNs: vacantAtNs });
  await scenario.add();
  const last = await scenario.termAfter(current.term);
  await waitUntil("the last term is seen", () =>
    scenario.observers.every((observer) => seenBy(observer).at(-1)?.term === last.term),
  );
  await scenario.finish();

  const lags: number[] = [];
  // No more terms than kills: a leader that gets no turn for a ttl would lose its term, and an
  // observer miss one.
  checkUnstalled(ttlMs / 2, startedAtNs, () => {
    const { terms } = scenario;
    expect(terms).toHaveLength(kills + 2);
    const expected = terms.map(({ term, candidate }) => ({ term, candidate }));
    for (const observer of scenario.observers) {
      const seen = seenBy(observer);
      expect(seen[0], "as it was at first").toBe(null);
      expect(seen.at(-2), "the vacancy that lasted").toBe(null);
      const leaders = seen.filter((leader) => leader !== null);
      expect(leaders.map(({ term, candidate }) => ({ term, candidate }))).toEqual(expected);
      lags.push(...leaders.map(({ atNs }, index) => Number(atNs - (terms[index]?.atNs ?? 0n)) / 1e6));
    }
  });
  console.log(
    `failover on ${name}, ${kills} kills, ttl ${ttlMs} ms: ${figures(failovers)}; seen by observers after ${figures(lags)}`,
  );
}

function figures(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const [p50, max] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  return `p50 ${Math.round(p50 ?? 0)} ms, max ${Math.round(max ?? 0)} ms`;
}
