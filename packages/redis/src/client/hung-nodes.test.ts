import { Health } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";
import type { ClusterClient, RedisClient } from "./client.ts";
import { HungNodes } from "./hung-nodes.ts";

function setUp(client: object = {}): {
  clock: SimClock;
  nodes: HungNodes;
  told: string[];
  refreshes: () => number;
} {
  const clock = new SimClock();
  const health = new Health(clock);
  const told: string[] = [];
  health.onDegraded(({ reason }) => told.push(reason));
  health.onRestored(({ reason }) => told.push(`not ${reason}`));
  let refreshes = 0;
  const cluster = {
    isCluster: true,
    status: "ready",
    refreshSlotsCache: () => void (refreshes += 1),
    ...client,
  } as unknown as ClusterClient | RedisClient;
  return {
    clock,
    nodes: new HungNodes({ client: cluster, clock, health }),
    told,
    refreshes: () => refreshes,
  };
}

test("late calls make a Cluster client ask for the slots, once a second at most", async () => {
  const { clock, nodes, refreshes } = setUp();
  for (let ms = 0; ms < 3_000; ms += 100) {
    nodes.overdue(1_000, "late");
    await clock.advance(100);
  }
  expect(refreshes()).toBe(3);
});

test("it is told once, and is over when no call was late for a while", async () => {
  const { clock, nodes, told } = setUp();
  for (let i = 0; i < 5; i++) {
    nodes.overdue(1_000, "late");
    await clock.advance(4_000);
  }
  expect(told).toEqual(["unreachable"]);
  await clock.advance(1_000);
  expect(told).toEqual(["unreachable", "not unreachable"]);
  nodes.overdue(1_000, "late");
  nodes.close();
  expect(clock.pending).toBe(0);
});

test("an impatient caller says nothing of the nodes, and a single server has none", () => {
  const cases = [
    { ...setUp(), timeoutMs: 50 },
    { ...setUp({ isCluster: false }), timeoutMs: 5_000 },
  ];
  for (const { nodes, told, refreshes, timeoutMs } of cases) {
    nodes.overdue(timeoutMs, "late");
    expect({ told, refreshes: refreshes() }).toEqual({ told: [], refreshes: 0 });
  }
});

test("a client without the means, or that connects at the moment, is left alone", () => {
  for (const client of [{ refreshSlotsCache: undefined }, { status: "connecting" }]) {
    const { nodes, refreshes } = setUp(client);
    nodes.overdue(1_000, "late");
    expect(refreshes()).toBe(0);
  }
});
