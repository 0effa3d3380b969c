import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { TestFleet, type TestNode } from "./test-fleet.ts";

let fleet: TestFleet;

beforeEach(() => {
  fleet = new TestFleet();
});

afterEach(() => fleet.close());

describe("a store", () => {
  it("is asked nothing while the circuit is closed and nobody votes, and never by a call", async () => {
    const nodes = await fleet.opened(3);
    await fleet.clock.advance(2_000);
    await nodes[0].call();
    await fleet.untilAll("closed");
    // The last push is followed by core's own looks at the expiries it knew.
    await fleet.clock.advance(10_000);
    for (const { requests } of nodes) requests.length = 0;
    for (let second = 0; second < 20; second++) {
      for (const node of nodes) await node.call();
      await fleet.clock.advance(1_000);
    }
    // Every 30 s core looks for a push that was lost in silence: once for the line, and once for
    // the orders.
    for (const { requests } of nodes)
      expect(requests.filter((call) => call !== "inspect" && call !== "look")).toEqual([]);
    for (const { requests } of nodes) expect(requests.length).toBeLessThanOrEqual(2);

    await nodes[0].trip();
    await nodes[1].trip();
    await fleet.untilOpen();
    for (const { requests } of nodes) requests.length = 0;
    for (const node of nodes)
      for (let call = 0; call < 50; call++) expect(await node.call()).toBe("rejected");
    expect(nodes.map(({ requests }) => requests.length)).toEqual([0, 0, 0]);
  });

  it("that is lost fails no call; each node's own breaker governs alone", async () => {
    const nodes = await fleet.opened(3);
    const [, , healthy] = nodes;
    for (const { link } of nodes) link.cut();
    await fleet.untilAll("half-open", 3_000).catch(() => undefined);
    // Too old to be believed.
    await fleet.until(
      "local governs",
      () => nodes.every(({ breaker }) => breaker.governedBy === "local"),
      6_000,
    );
    await fleet.clock.advance(2);
    expect(healthy!.changes.at(-1)).toMatchObject({ to: "closed", reason: "the store is out of reach" });
    for (const node of nodes) expect(await node.call()).toBe("ok");
    await healthy!.trip();
    expect(await healthy!.call()).toBe("rejected");
    await fleet.clock.advance(2_000);
    expect(await healthy!.call()).toBe("ok");
    await fleet.clock.advance(10_000);
    for (const node of nodes) {
      expect(node.all("degraded").filter(({ what }) => what === "line")).toHaveLength(1);
      expect(await node.call()).toBe("ok");
    }

    for (const { link } of nodes) await link.heal();
    await fleet.clock.advance(6_000);
    expect(fleet.states).toEqual(["closed", "closed", "closed"]);
    expect(await fleet.standing()).toEqual([]);
    for (const node of nodes) expect(node.all("restored").map(({ what }) => what)).toContain("line");
  });

  it("that comes back while the dependency is down: the votes are cast, and the circuit opens for all", async () => {
    const nodes = await fleet.open(3);
    for (const { link } of nodes) link.cut();
    await nodes[0]!.trip();
    await nodes[1]!.trip();
    await fleet.clock.advance(1_000);
    expect(await nodes[2]!.call()).toBe("ok");
    for (const { link } of nodes) await link.heal();
    await fleet.untilOpen(3_000);
    expect(nodes[2]!.breaker.governedBy).toBe("shared");
  });

  it("that has lost everything gets the votes again", async () => {
    const nodes = await fleet.opened(3);
    fleet.store.flush();
    await fleet.clock.advance(20);
    expect(nodes[2]!.breaker.state).toBe("closed");
    await fleet.untilOpen(3_000);
    expect(nodes[2]!.breaker.governedBy).toBe("shared");
  });

  it("that was away for long: votes are counted anew, whatever was known before", async () => {
    const nodes = await fleet.opened(3);
    for (const { link } of nodes) link.cut();
    await fleet.clock.advance(10_000);
    await nodes[0].call();
    await nodes[1].call();
    for (const node of nodes.slice(0, 2)) await node.trip();
    for (const { link } of nodes) await link.heal();
    const before = nodes[2]!.all("fleet-changed").length;
    await fleet.until("known again", () => nodes[2]!.all("fleet-changed").length > before);
    expect(nodes[2]!.all("fleet-changed").at(-1)).toMatchObject({
      to: "open",
      reason: expect.stringContaining("2 nodes found"),
    });
  });

  it("that has lost everything gets a vote of a standby whose own breaker has opened by then", async () => {
    const [a, b, c, d] = (await fleet.open(4)) as [TestNode, TestNode, TestNode, TestNode];
    const late = [c, d].flatMap((node) => [node.begin(), node.begin(), node.begin()]);
    await a.trip();
    await b.trip();
    await fleet.untilOpen();
    for (const node of [c, d]) await node.call();
    await fleet.until("c and d stand by", async () => (await fleet.standing()).join() === "a,b,c,d");
    for (const call of late) call.fail();
    await Promise.all(late.map(({ ended }) => ended));
    for (const { link } of [a, b]) link.cut();
    const before = c.all("fleet-changed").length;
    fleet.store.flush();
    await fleet.until("open again", () => c.all("fleet-changed").length >= before + 2, 4_000);
    expect(c.all("fleet-changed").slice(before)).toMatchObject([
      { to: "closed", reason: "nobody votes any more" },
      { to: "open", reason: expect.stringContaining("2 nodes found") },
    ]);
  });

  it("whose pushes are lost is followed by polls", async () => {
    const nodes = await fleet.opened(3);
    for (const { link } of nodes) link.dropPushes?.();
    await fleet.untilAll("half-open", 4_000);
    await nodes[0]!.call();
    expect(await fleet.untilAll("closed", 2_000)).toBeLessThanOrEqual(1_100);
  });

  it("that holds an unreadable proclamation: the circuit is closed, and an event says why", async () => {
    const [a, b] = await fleet.open(2);
    for (const value of ["garbage", '{"v":1,"state":"open","sequence":1e99}', "[".repeat(3_000)]) {
      const impostor = await b!.coordinator
        .election("circuit:payments", { candidate: "impostor", value })
        .campaign();
      await fleet.clock.advance(100);
      expect(a!.breaker.state).toBe("closed");
      expect(await a!.call()).toBe("ok");
      expect(a!.all("degraded").at(-1)).toMatchObject({ what: "line", error: { message: /cannot read/ } });
      await impostor.resign();
      await fleet.clock.advance(1_100);
      expect(a!.all("restored").at(-1)).toMatchObject({ what: "line" });
    }
    expect(a!.all("degraded")).toHaveLength(3);
  });
});
