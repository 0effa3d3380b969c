import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { TestFleet, type TestNode } from "./test-fleet.ts";

let fleet: TestFleet;

beforeEach(() => {
  fleet = new TestFleet();
});

afterEach(() => fleet.close());

async function nodes(count: number): Promise<[TestNode, TestNode, ...TestNode[]]> {
  return (await fleet.open(count)) as [TestNode, TestNode, ...TestNode[]];
}

describe("an isolation of the fleet", () => {
  it("holds everywhere until the last one is lifted, and says why", async () => {
    const [a, b, c] = await nodes(3);
    const first = await a.breaker.isolateFleet("maintenance\u001b[31m until 6");
    expect(a.breaker.state, "here at once").toBe("isolated");
    const second = await b.breaker.isolateFleet("me too");
    await fleet.clock.advance(1);
    expect(fleet.states).toEqual(["isolated", "isolated", "isolated"]);
    expect([c!.breaker.governedBy, c!.breaker.retryAfterMs]).toEqual(["isolation", Infinity]);
    const error: unknown = await c!.breaker.execute(() => "ok").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: "IsolatedCircuitError",
      state: "isolated",
      reason: "maintenance [31m until 6",
    });
    expect(c!.all("rejected")).toHaveLength(1);
    await first[Symbol.asyncDispose]();
    await fleet.clock.advance(20_000);
    expect(fleet.states).toEqual(["isolated", "isolated", "isolated"]);
    await second[Symbol.asyncDispose]();
    await fleet.clock.advance(1);
    expect(fleet.states).toEqual(["closed", "closed", "closed"]);
    expect(c!.changes.map(({ from, to }) => [from, to])).toEqual([
      ["closed", "isolated"],
      ["isolated", "closed"],
    ]);
    expect(await c!.call()).toBe("ok");
  });

  it("ends with the process that holds it", async () => {
    const [a, b] = await nodes(2);
    await a.breaker.isolateFleet("by one who dies");
    await fleet.clock.advance(1);
    a.link.cut();
    await fleet.clock.advance(2_900);
    expect(b.breaker.state).toBe("isolated");
    await fleet.clock.advance(1_000);
    expect(b.breaker.state).toBe("closed");
  });

  it("is given again when the store has lost it", async () => {
    const [a, b] = await nodes(2);
    const isolation = await a.breaker.isolateFleet("while I hold this");
    await fleet.clock.advance(1);
    fleet.store.flush();
    await fleet.clock.advance(50);
    expect(b.breaker.state).toBe("closed");
    await fleet.clock.advance(2_000);
    expect(b.breaker.state).toBe("isolated");
    await isolation[Symbol.asyncDispose]();
  });

  it("ends with the breaker that gave it, elsewhere", async () => {
    const [a, b] = await nodes(2);
    await a.breaker.isolateFleet("until I close");
    await fleet.clock.advance(1);
    expect(b.breaker.state).toBe("isolated");
    await a.breaker.close();
    await fleet.clock.advance(1);
    expect(b.breaker.state).toBe("closed");
  });

  it("is believed for maxStalenessMs by a node that is cut off; one that cannot be given has no effect", async () => {
    const [a, b] = await nodes(2);
    await a.breaker.isolateFleet("seen once");
    await fleet.clock.advance(1);
    b.link.cut();
    await fleet.clock.advance(4_900);
    expect(b.breaker.state).toBe("isolated");
    const refused = b.breaker.isolateFleet("cannot be said").catch((error: unknown) => error);
    await fleet.clock.advance(40_000);
    expect(await refused).toMatchObject({ code: "OUTCOME_UNKNOWN" });
    expect(b.breaker.state).toBe("closed");
    expect(b.all("degraded").map(({ what }) => what)).toContain("orders");
    await b.link.heal();
    await fleet.clock.advance(6_000);
    expect(b.breaker.state).toBe("isolated");
    expect(b.all("restored").map(({ what }) => what)).toContain("orders");
  });

  it("outranks the fleet's open circuit, and a local isolation outranks both", async () => {
    const [a, b, c] = await nodes(3);
    await a.trip();
    await b.trip();
    await fleet.untilOpen();
    const isolation = await a.breaker.isolateFleet("for everybody");
    await fleet.clock.advance(1);
    expect(fleet.states).toEqual(["isolated", "isolated", "isolated"]);
    using here = c!.breaker.isolate("only here");
    await isolation[Symbol.asyncDispose]();
    await fleet.clock.advance(1);
    expect(fleet.states).toEqual(["open", "open", "isolated"]);
    await expect(c!.breaker.execute(() => "ok")).rejects.toMatchObject({ reason: "only here" });
    here[Symbol.dispose]();
    expect(fleet.states).toEqual(["open", "open", "open"]);
  });

  it("that cannot be read counts as none, and a degraded event says so", async () => {
    const [a, b] = await nodes(2);
    const impostor = await b.coordinator
      .membership("circuit:payments:orders")
      .join({ value: '{"order":"isolate"}' });
    await fleet.clock.advance(1);
    expect(fleet.states).toEqual(["closed", "closed"]);
    expect(a.all("degraded")).toMatchObject([{ what: "orders", error: { message: /cannot read/ } }]);
    await impostor.release();
    await fleet.clock.advance(1_100);
    expect(a.all("restored")).toMatchObject([{ what: "orders" }]);
  });
});

describe("a reset of the fleet", () => {
  it("closes the circuit everywhere, and every node forgets, voters too", async () => {
    const [a, b, c] = await nodes(3);
    await a.trip();
    await b.trip();
    await fleet.untilOpen();
    const reset = c!.breaker.resetFleet();
    await fleet.clock.advance(1);
    expect(fleet.states).toEqual(["closed", "closed", "closed"]);
    for (const node of fleet.nodes) expect(await node.call()).toBe("ok");
    await fleet.clock.advance(5_000);
    await reset;
    expect(await fleet.standing()).toEqual([]);
    expect(fleet.states).toEqual(["closed", "closed", "closed"]);
    expect([a, b].map((node) => node.all("voted").length)).toEqual([1, 1]);
  });

  it("does not depend on the nodes in line: a dead leader leads no longer, at once", async () => {
    const [a, b, c] = await nodes(3);
    await a.trip();
    await b.trip();
    await fleet.untilOpen();
    for (const { link } of [a, b]) link.cut();
    const reset = c!.breaker.resetFleet();
    await fleet.clock.advance(1);
    expect(await fleet.standing()).toEqual([]);
    await fleet.clock.advance(1_000);
    expect(c!.breaker.state).toBe("closed");
    await fleet.clock.advance(1_000);
    await reset;
  });

  it("opens again when the dependency still fails", async () => {
    const [a, b] = await nodes(3);
    await a.trip();
    await b.trip();
    await fleet.untilOpen();
    const reset = a.breaker.resetFleet();
    await fleet.clock.advance(2_100);
    await reset;
    await a.trip();
    await b.trip();
    await fleet.untilOpen(1_000);
    expect(b.breaker.governedBy).toBe("shared");
  });

  it("ends a probe's licence: what it finds then changes nothing", async () => {
    const [a, b] = await nodes(2);
    await a.trip();
    await b.trip();
    await fleet.untilAll("half-open");
    const probe = a.begin();
    const reset = b.breaker.resetFleet();
    await fleet.clock.advance(10);
    expect(fleet.states).toEqual(["closed", "closed"]);
    probe.fail();
    await probe.ended;
    await fleet.clock.advance(2_500);
    await reset;
    expect(fleet.states).toEqual(["closed", "closed"]);
    expect(b.all("fleet-changed").at(-1)).toMatchObject({ to: "closed" });
  });

  it("rejects when the store cannot be reached", async () => {
    const [a] = await nodes(1);
    a.link.cut();
    const refused = expect(a.breaker.resetFleet()).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await fleet.clock.advance(6_000);
    await refused;
  });
});

describe("an operator", () => {
  it("who resets one node's breaker takes its vote back", async () => {
    const [a] = await nodes(2);
    await a.trip();
    await fleet.clock.advance(10);
    expect(await fleet.standing()).toEqual(["a"]);
    const { era } = a.breaker;
    a.breaker.reset();
    expect(a.breaker.era).toBeGreaterThan(era);
    await fleet.clock.advance(10);
    expect(await fleet.standing()).toEqual([]);
  });

  it("who evicts a vote closes that node's breaker", async () => {
    const [a, b] = await nodes(3);
    await a.trip();
    await fleet.clock.advance(10);
    const { holders } = await fleet.line();
    await b.coordinator.evict("circuit:payments", holders[0]!.owner, { recipe: "election" });
    await fleet.clock.advance(1_100);
    expect(a.breaker.state).toBe("closed");
    expect(await fleet.standing()).toEqual([]);
  });

  it("who isolates one node takes its vote back, and its calls from the fleet's probe", async () => {
    const [a] = await nodes(2);
    await a.trip();
    await fleet.clock.advance(10);
    using _ = a.breaker.isolate("only here");
    await fleet.clock.advance(10);
    expect(await fleet.standing()).toEqual([]);
  });
});
