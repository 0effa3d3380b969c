import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { TestFleet } from "./test-fleet.ts";

let fleet: TestFleet;

beforeEach(() => {
  fleet = new TestFleet();
});

afterEach(() => fleet.close());

describe("the succession of leaders", () => {
  it("a leader without calls resigns, so that another node's calls may probe", async () => {
    const [a, b, c] = await fleet.opened(3);
    await fleet.untilAll("half-open");
    await fleet.clock.advance(900);
    expect(b.all("leading")).toHaveLength(0);
    await fleet.until("b leads", () => b.all("leading").length > 0, 1_500);
    await fleet.clock.advance(50);
    expect([await c!.call(), await a.call(), await b.call()]).toEqual(["rejected", "rejected", "ok"]);
    await fleet.untilAll("closed");
  });

  it("voters without calls do not hold it open: a node that did not vote probes in their place", async () => {
    const [, , healthy] = await fleet.opened(3);
    const tookMs = await fleet.until("closed", async () => {
      await healthy!.call();
      return healthy!.breaker.state === "closed";
    });
    expect(tookMs).toBeLessThan(8_000);
    await fleet.untilAll("closed");
  });

  it("nodes that had calls once do not take the place of a node that has calls now", async () => {
    const nodes = await fleet.opened(4);
    for (const node of nodes.slice(0, 2)) await node.call();
    // By then no opinion is worth a vote any more, and all nodes that had calls have led without
    // any.
    await fleet.clock.advance(15_000);
    const [, , healthy] = nodes;
    const tookMs = await fleet.until("closed", async () => {
      await healthy!.call();
      return healthy!.breaker.state === "closed";
    });
    expect(tookMs).toBeLessThan(8_000);
  });

  it("calls refused while it was open last time are no reason to stand this time", async () => {
    const [a, b, c] = await fleet.opened(3);
    await c!.call();
    await fleet.untilAll("half-open");
    expect(await fleet.standing()).toEqual(["a", "b", "c"]);
    await a.call();
    await fleet.untilAll("closed");
    await fleet.clock.advance(3_000);
    await a.trip();
    await b.trip();
    await fleet.untilOpen();
    await fleet.clock.advance(1_500);
    expect(await fleet.standing()).toEqual(["a", "b"]);
  });

  it("nodes for which alone the dependency is lost do not hold it open, either", async () => {
    const nodes = await fleet.opened(4);
    const [a, b, ...healthy] = nodes;
    await fleet.until("closed", async () => {
      for (const sick of [a, b]) await sick.call("fails");
      for (const node of healthy) await node.call("ok");
      return healthy.every(({ breaker }) => breaker.state === "closed");
    });
    const probes = nodes.map((node) => node.all("probed").map(({ outcome }) => outcome));
    expect(probes.slice(0, 2)).toEqual([["failure"], ["failure"]]);
    expect(probes.flat().filter((outcome) => outcome === "success")).toHaveLength(1);
  });

  it("the last node in line stays without calls, too: a vacancy would close the circuit unprobed", async () => {
    const [a, b] = await fleet.opened(2);
    for (const node of [a, b]) await node.call();
    await fleet.untilAll("half-open");
    await fleet.clock.advance(20_000);
    expect(fleet.states).toEqual(["half-open", "half-open"]);
    expect(await fleet.standing()).toHaveLength(1);
    // Each of them led once, and then no more.
    expect([a, b].map((node) => node.all("leading").length)).toEqual([1, 1]);
    await fleet.until("closed", async () => {
      await a.call();
      return a.breaker.state === "closed";
    });
  });

  it("a new leader goes on from the rest of the open time", async () => {
    const [a, b, c] = await fleet.opened(3);
    await fleet.clock.advance(100);
    const restMs = c!.breaker.retryAfterMs;
    await a.breaker.close();
    await fleet.clock.advance(100);
    expect(b.all("leading")).toHaveLength(1);
    expect(c!.breaker.retryAfterMs).toBeLessThanOrEqual(restMs - 100);
    expect(c!.all("fleet-changed").map(({ to }) => to)).toEqual(["open"]);
    await fleet.clock.advance(restMs - 250);
    expect(c!.breaker.state).toBe("open");
    await fleet.clock.advance(200);
    expect(c!.breaker.state).toBe("half-open");
  });

  it("a crowd that votes at once does not stay in line", async () => {
    const nodes = await fleet.open(15);
    await Promise.all(nodes.map((node) => node.trip()));
    await fleet.untilOpen();
    await fleet.clock.advance(1_500);
    expect(await fleet.standing()).toHaveLength(8);
    expect(fleet.states).toEqual(Array(15).fill("open"));
  });

  it("a leader that has closed the circuit does not wait for ever for a voter that stays", async () => {
    const [a, b, c] = await fleet.opened(3);
    const deaf = c!.coordinator.election("circuit:payments", { candidate: "deaf" });
    const standing = deaf.campaign({ metadata: { role: "vote" } });
    await fleet.untilAll("half-open");
    await a.call();
    await fleet.untilAll("closed");
    await fleet.clock.advance(1_900);
    expect(await fleet.standing()).toEqual(["a", "deaf"]);
    await fleet.clock.advance(300);
    expect(await fleet.standing()).toEqual(["deaf"]);
    expect([a, b, c!].map(({ breaker }) => breaker.state)).toEqual(["closed", "closed", "closed"]);
    await (await standing).resign();
  });
});
