import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test, type TestContext } from "vitest";

import { startEtcd, startRedis, type ManagedServer } from "../servers/index.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { checkUnstalled, expectWithin, unlessStalled } from "../stall/index.ts";
import type { Child } from "./child.ts";
import type { Arrival } from "./circuit-dependency.ts";
import { CircuitFleet, msBetween, times } from "./circuit-fleet.ts";
import type { StoreSpec } from "./store-spec.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const { ttlMs, pollMs, maxStalenessMs } = times;
/** A stall that a node survives in line: it renews every third of the ttl. */
const usableMs = ttlMs / 2;

interface Subject {
  readonly shared: () => StoreSpec;
  /** One that is killed here. */
  readonly start: () => Promise<ManagedServer>;
  readonly at: (address: { host: string; port: number }) => StoreSpec;
}

const subjects: [string, Subject][] = [
  [
    "redis",
    {
      shared: () => ({ kind: "redis", url: redisServer.url }),
      start: () => startRedis(),
      at: ({ host, port }) => ({ kind: "redis", url: `redis://${host}:${port}` }),
    },
  ],
  [
    "etcd",
    {
      shared: () => ({ kind: "etcd", hosts: etcdServer.hosts }),
      start: () => startEtcd(),
      at: ({ host, port }) => ({ kind: "etcd", hosts: [`http://${host}:${port}`] }),
    },
  ],
];

const round = (ms: number): string => `${Math.round(ms)} ms`;

/** How many of these calls were under way at once, at most. */
function mostAtOnce(arrivals: readonly Arrival[]): number {
  const running = (atNs: bigint): number =>
    arrivals.filter(({ atNs: begun, endNs }) => begun <= atNs && (endNs === null || endNs > atNs)).length;
  return Math.max(0, ...arrivals.map(({ atNs }) => running(atNs)));
}

describe("five processes and a dependency that fails", () => {
  test.each(subjects)("%s: votes, trip, probe, close; probers that die", (name, { shared }) =>
    unlessStalled(usableMs, () => expectOneProbe(name, shared())),
  );
});

async function expectOneProbe(name: string, store: StoreSpec): Promise<void> {
  const startedAtNs = process.hrtime.bigint();
  // A node that gets no turn for longer than it may be stale acts by itself, as it should.
  const judge = (check: () => void): void => checkUnstalled(usableMs, startedAtNs, check);
  await using fleet = await CircuitFleet.open(store);
  const { dependency, nodes } = fleet;
  const figures: string[] = [];

  // One node to which alone the dependency is lost.
  dependency.failsFor.add("node-0");
  await nodes[0]!.heard("voted");
  await fleet.standingAre(["node-0"]);
  await sleep(3 * pollMs);
  judge(() => expect(nodes.flatMap((node) => node.all("fleet-changed"))).toEqual([]));
  expect((await fleet.counts()).slice(1).map(({ state, rejected }) => ({ state, rejected }))).toEqual(
    Array(4).fill({ state: "closed", rejected: 0 }),
  );

  // A quorum.
  dependency.failsFor.add("node-1");
  const second = await nodes[1]!.heard("voted");
  const openNs = await fleet.allAre("open", { governedBy: "shared" });
  const votedNs = BigInt(String(second["atNs"]));
  const spreadMs = expectWithin("open everywhere", 2 * ttlMs, { fromNs: votedNs, toNs: openNs });
  figures.push(`open everywhere ${round(spreadMs)} after the second vote`);

  // Nothing is sent while it is open; then one probe, by one node, however many call.
  dependency.hangs = true;
  const before = dependency.arrivals.length;
  const first = await dependency.arrival(before);
  figures.push(`first probe ${round(msBetween(openNs, first.atNs))} after that`);
  await sleep(2 * pollMs);
  judge(() => expect(dependency.since(before).map(({ node }) => node)).toEqual([first.node]));

  // Its prober is killed.
  await fleet.kill(fleet.find(first.node));
  const killedNs = process.hrtime.bigint();
  const next = await dependency.arrival(before + 1);
  const reclaimedMs = expectWithin("the next probe", 4 * ttlMs, { fromNs: killedNs, toNs: next.atNs });
  figures.push(`probe of the next ${round(reclaimedMs)} after the kill`);
  judge(() => expect(next.node).not.toBe(first.node));

  // The next prober is stopped for longer than its lease, and answered well when it goes on.
  const stopped = fleet.find(next.node);
  stopped.kill("SIGSTOP");
  const others = fleet.living.filter((node) => node !== stopped);
  const third = await dependency.arrival(before + 2);
  judge(() => expect([first.node, next.node]).not.toContain(third.node));
  dependency.answer(next, 200);
  stopped.kill("SIGCONT");
  const fenced = await outcomeOf(stopped);
  judge(() => expect(fenced).toBe("fenced"));
  await sleep(2 * pollMs);
  judge(() => expect(dependency.since(before)).toHaveLength(3));
  for (const node of others) expect(node.all("fleet-changed").map(({ to }) => to)).not.toContain("closed");
  expect(
    mostAtOnce(dependency.since(before).filter((arrival) => arrival !== next)),
    "but the stopped one",
  ).toBe(1);

  // The dependency is back; the third prober's call says so.
  dependency.hangs = false;
  dependency.failsFor.clear();
  const answeredNs = process.hrtime.bigint();
  dependency.answer(third, 200);
  const closedNs = await fleet.allAre("closed");
  const closedMs = expectWithin("closed everywhere", 2 * ttlMs, { fromNs: answeredNs, toNs: closedNs });
  figures.push(`closed everywhere ${round(closedMs)} after the probe's answer`);
  await fleet.callsGoThrough();
  await fleet.standingAre([]);
  await fleet.finish();
  console.log(`shared circuit on ${name}, ttl ${ttlMs} ms, polled every ${pollMs} ms: ${figures.join(", ")}`);
}

/** What the node says that its first probe found. */
async function outcomeOf(node: Child): Promise<unknown> {
  return (await node.heard("probed"))["outcome"];
}

describe("five processes and a store that dies", () => {
  test.for(subjects)(
    "%s: no call fails for it, and the view comes back with it",
    ([name, subject], { skip }) =>
      unlessStalled(usableMs, () => expectCallsOutliveTheStore(name, subject, skip)),
  );
});

async function expectCallsOutliveTheStore(
  name: string,
  subject: Subject,
  skip: TestContext["skip"],
): Promise<void> {
  const startedAtNs = process.hrtime.bigint();
  await using server = await subject.start();
  skip(!server.canSabotage, "the server is not ours to kill");
  await using fleet = await CircuitFleet.open(subject.at(server.address));
  const { dependency } = fleet;
  const everybody = fleet.nodes.map((node) => fleet.nameOf(node));
  const figures: string[] = [];

  await server.kill();
  await fleet.callsGoThrough(30);
  const unserved = (await fleet.counts()).map(({ rejected, failed }) => rejected + failed);
  checkUnstalled(usableMs, startedAtNs, () => expect(unserved).toEqual(Array(5).fill(0)));

  // Without a store each node has its own breaker, which opens and closes alone.
  for (const node of everybody) dependency.failsFor.add(node);
  await fleet.allAre("open", { governedBy: "local" });
  dependency.failsFor.clear();
  await fleet.allAre("closed", { governedBy: "local" });
  await fleet.callsGoThrough();

  // The dependency fails, and the store comes back: the votes are cast, and the fleet agrees.
  for (const node of everybody) dependency.failsFor.add(node);
  await fleet.allAre("open");
  const startedNs = process.hrtime.bigint();
  await server.start();
  await fleet.allAre("open", { governedBy: "shared" });
  figures.push(`agreed ${round(msBetween(startedNs, process.hrtime.bigint()))} after the store's start`);

  // It dies again, while the circuit is open for all: what it said is soon too old to be believed.
  await server.kill();
  const killedNs = process.hrtime.bigint();
  dependency.failsFor.clear();
  await waitUntil("local breakers govern", async () =>
    (await fleet.counts()).every(({ governedBy }) => governedBy === "local"),
  );
  // What a node was told last it believes for the staleness that it bears, and its own place in
  // line for a ttl.
  const aloneMs = expectWithin("alone", maxStalenessMs + 2 * ttlMs, { fromNs: killedNs });
  figures.push(`alone ${round(aloneMs)} after its death`);
  await fleet.allAre("closed");
  await fleet.callsGoThrough();

  await server.start();
  const backNs = process.hrtime.bigint();
  await fleet.standingAre([]);
  const isWell = (node: Child): boolean => node.all("restored").length === node.all("degraded").length;
  await waitUntil("well", () => fleet.nodes.every(isWell));
  expect(fleet.nodes.every((node) => node.all("degraded").length > 0)).toBe(true);
  figures.push(`well ${round(msBetween(backNs, process.hrtime.bigint()))} after its return`);
  await fleet.allAre("closed", { governedBy: "local" });
  await fleet.callsGoThrough();
  await fleet.finish();
  console.log(`a store that dies, on ${name}: ${figures.join(", ")}`);
}
