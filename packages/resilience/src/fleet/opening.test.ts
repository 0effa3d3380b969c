import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { TestFleet } from "./test-fleet.ts";

let fleet: TestFleet;

beforeEach(() => {
  fleet = new TestFleet();
});

afterEach(() => fleet.close());

describe("opening", () => {
  it("one sick node does not open the circuit for the fleet; its own breaker is open", async () => {
    const [sick, ...others] = await fleet.open(5);
    await sick!.trip();
    await fleet.clock.advance(1_900);
    expect(await fleet.standing()).toEqual(["a"]);
    expect(fleet.states).toEqual(["open", "closed", "closed", "closed", "closed"]);
    expect([sick!.breaker.governedBy, others[0]!.breaker.governedBy]).toEqual(["local", "local"]);
    expect(await others[3]!.call()).toBe("ok");
    // Its own probe succeeds, and it takes its vote back.
    await fleet.clock.advance(200);
    expect(await sick!.call()).toBe("ok");
    await fleet.clock.advance(10);
    expect(await fleet.standing()).toEqual([]);
    expect(sick!.all("leading")).toHaveLength(1);
  });

  it("a quorum opens it, and every node sees it within a poll", async () => {
    const nodes = await fleet.open(5);
    await nodes[0]!.trip();
    await fleet.clock.advance(700);
    await nodes[3]!.trip();
    expect(await fleet.untilOpen()).toBeLessThanOrEqual(1_000);
    for (const node of nodes) {
      const { breaker, changes } = node;
      expect(breaker.governedBy).toBe("shared");
      expect(breaker.retryAfterMs).toBeGreaterThan(1_000);
      expect(changes.at(-1)).toMatchObject({ to: "open" });
      expect(node.all("fleet-changed")).toEqual([
        expect.objectContaining({ from: "closed", to: "open", attempt: 1, circuit: "payments" }),
      ]);
    }
  });

  it("a share of the nodes is needed, where it is more than the minimum", async () => {
    const nodes = await fleet.open(6, { share: 0.5, nodes: () => Promise.resolve(6) });
    await nodes[0]!.trip();
    await nodes[1]!.trip();
    await fleet.clock.advance(1_500);
    expect(fleet.states.filter((state) => state === "open")).toHaveLength(2);
    await nodes[2]!.trip();
    await fleet.untilOpen();
  });

  it("waits while nobody can say how many nodes there are, and says so", async () => {
    let fails = true;
    const nodes = (): number => {
      if (fails) throw new Error("the membership is out of reach");
      return 3;
    };
    const [a, b] = await fleet.open(3, { nodes });
    await a!.trip();
    await b!.trip();
    await fleet.clock.advance(3_000);
    expect(fleet.states).toEqual(["open", "open", "closed"]);
    expect(a!.all("degraded")).toMatchObject([{ what: "nodes", error: { message: /out of reach/ } }]);
    fails = false;
    await fleet.untilOpen();
    expect(a!.all("restored")).toMatchObject([{ what: "nodes" }]);
  });

  it("one node in two processes, or back from a crash, has one vote", async () => {
    const first = fleet.add("a");
    const second = fleet.add("a");
    const other = fleet.add("b");
    await fleet.clock.advance(10);
    await first.trip();
    await second.trip();
    await fleet.clock.advance(1_500);
    expect(await fleet.standing()).toEqual(["a", "a"]);
    expect(other.breaker.state).toBe("closed");
    await other.trip();
    await fleet.clock.advance(1_000);
    expect(other.breaker.governedBy).toBe("shared");
  });

  it("a breaker that opened long ago, of a node without calls, is no vote", async () => {
    const [idle, other] = await fleet.open(3);
    await idle!.trip();
    // Its open time, and for as long as the store need not confirm what is believed.
    await fleet.clock.advance(2_000 + 5_000 - 100);
    expect(await fleet.standing()).toEqual(["a"]);
    await fleet.clock.advance(200);
    expect(await fleet.standing()).toEqual([]);
    await other!.trip();
    await fleet.clock.advance(1_500);
    expect(fleet.states).toEqual(["open", "open", "closed"]);
    expect([idle!, other!].map(({ breaker }) => breaker.governedBy)).toEqual(["local", "local"]);
  });

  it("calls that began before the circuit opened do not count after it has closed", async () => {
    const [a, b, c] = await fleet.open(3);
    const late = [c!.begin(), c!.begin(), c!.begin()];
    await a!.trip();
    await b!.trip();
    await fleet.untilOpen();
    await fleet.clock.advance(2_000);
    expect(await a!.call()).toBe("ok");
    await fleet.untilAll("closed");
    for (const call of late) call.fail();
    await Promise.all(late.map(({ ended }) => ended));
    expect(c!.breaker.state).toBe("closed");
  });

  it("for longer than a day is for a day, so that every node accepts it", async () => {
    const nodes = await fleet.open(3, { openMs: () => 1e12 });
    await nodes[0]!.trip();
    await nodes[1]!.trip();
    await fleet.untilOpen();
    expect(nodes[2]!.breaker.retryAfterMs).toBeLessThanOrEqual(86_400_000);
    expect(nodes[2]!.breaker.retryAfterMs).toBeGreaterThan(86_000_000);
  });

  it("is tried again while the backoff throws, and a degraded event says so", async () => {
    let [drawn, isBroken] = [0, true];
    // The nodes' own breakers draw the first two.
    const openMs = (): number => {
      if (isBroken && (drawn += 1) > 2) throw new Error("a bug in the backoff");
      return 1_000;
    };
    const [a, b] = await fleet.open(3, { openMs });
    await a!.trip();
    await b!.trip();
    await fleet.clock.advance(2_000);
    expect(a!.all("degraded")[0]).toMatchObject({ what: "line", error: { message: "a bug in the backoff" } });
    isBroken = false;
    await fleet.until("open", () => fleet.nodes[2]!.breaker.governedBy === "shared");
  });
});
