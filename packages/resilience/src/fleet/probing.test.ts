import { LeaseholdError } from "@leasehold/core";
import { isBrokenCircuitError } from "cockatiel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { TestFleet, type TestNode } from "./test-fleet.ts";

let fleet: TestFleet;

beforeEach(() => {
  fleet = new TestFleet();
});

afterEach(() => fleet.close());

describe("probing", () => {
  it("lets exactly one call of the whole fleet through; the others are told when to try again", async () => {
    const nodes = await fleet.opened(5);
    const refused = nodes.map((node) => node.begin());
    expect(await Promise.all(refused.map(({ ended }) => ended))).toEqual(Array(5).fill("rejected"));
    await fleet.untilAll("half-open");
    expect(nodes.map(({ breaker }) => breaker.retryAfterMs)).toEqual([0, 1_000, 1_000, 1_000, 1_000]);
    const calls = nodes.flatMap((node) => [node.begin(), node.begin()]);
    await fleet.clock.advance(500);
    const sent = calls.filter(({ isSent }) => isSent);
    expect(sent).toHaveLength(1);
    const error: unknown = await nodes[4]!.breaker.execute(() => "ok").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: "BrokenCircuitError",
      state: "half-open",
      circuit: "payments",
      retryAfterMs: 1_000,
    });
    expect(isBrokenCircuitError(error)).toBe(true);

    sent[0]!.succeed();
    await fleet.untilAll("closed");
    expect(nodes[0].all("probed")).toMatchObject([{ outcome: "success" }]);
    await fleet.clock.advance(2_500);
    expect(await fleet.standing()).toEqual([]);
    // All nodes forgot what they had seen: two more failures do not make three.
    for (const node of nodes) for (const act of ["fails", "fails", "ok"] as const) await node.call(act);
    expect(fleet.states).toEqual(Array(5).fill("closed"));
  });

  it("opens for longer after a failed probe, and another node probes next", async () => {
    fleet.add("a", { openMs: ({ retry }) => 1_000 * 2 ** retry });
    fleet.add("b", { openMs: ({ retry }) => 1_000 * 2 ** retry });
    const [a, b] = fleet.nodes as [TestNode, TestNode];
    await fleet.clock.advance(10);
    await a.trip();
    await b.trip();
    await fleet.untilOpen();
    await fleet.untilAll("half-open");
    expect([await b.call(), await a.call("fails")]).toEqual(["rejected", "failed"]);
    await fleet.untilOpen();
    expect(a.breaker.retryAfterMs).toBeGreaterThan(3_800);
    expect(b.all("fleet-changed").at(-1)).toMatchObject({ to: "open", attempt: 2, reason: "a probe failed" });
    await fleet.clock.advance(3_900);
    expect(fleet.states).toEqual(["open", "open"]);
    await fleet.until("b leads", () => b.all("leading").length > 0);
    await fleet.untilAll("half-open");
    expect([await a.call(), await b.call()]).toEqual(["rejected", "ok"]);
    await fleet.untilAll("closed");
  });

  it("a prober that dies is followed by another after its lease, and its late success changes nothing", async () => {
    const [a, b, c] = await fleet.opened(3);
    await fleet.untilAll("half-open");
    const probe = a.begin();
    expect(probe.isSent).toBe(true);
    a.link.cut();
    await fleet.clock.advance(2_000);
    const early = [b.begin(), c!.begin()];
    expect(early.map(({ isSent }) => isSent)).toEqual([false, false]);
    await fleet.until("b leads", () => b.all("leading").length > 0, 3_000);
    await fleet.clock.advance(100);
    const second = b.begin();
    expect(second.isSent).toBe(true);
    expect(c!.breaker.state).toBe("half-open");

    probe.succeed();
    // It timed out before, and what it found is fenced all the same.
    expect(await probe.ended).toMatch(/time limit/);
    await fleet.clock.advance(500);
    expect(a.all("probed").map(({ outcome }) => outcome)).not.toContain("success");
    expect([b, c!].map(({ breaker }) => breaker.state)).toEqual(["half-open", "half-open"]);
    second.fail();
    await fleet.until("open again", () => c!.breaker.state === "open");
    await a.link.heal();
    await fleet.until("a knows what the others know", () => a.breaker.governedBy === "shared");
  });

  it("the success of a prober that was paused past its lease is fenced", async () => {
    // Open for longer than the longest pause between two looks of a node that was cut off.
    const options = { halfOpen: { probeTimeoutMs: 60_000 }, openMs: 6_000 };
    const [a, b] = (await fleet.open(2, options)) as [TestNode, TestNode];
    await a.trip();
    await b.trip();
    await fleet.untilAll("half-open");
    const probe = a.begin();
    a.link.holdRequests();
    await fleet.until("b leads", () => b.all("leading").length > 0);
    probe.succeed();
    expect(await probe.ended, "the call itself is its caller's").toBe("ok");
    await fleet.clock.advance(200);
    expect(b.breaker.state).toBe("half-open");
    expect(b.all("fleet-changed").map(({ to }) => to)).toEqual(["open", "half-open"]);
    expect(await b.call("fails")).toBe("failed");
    await a.link.heal();
    await fleet.untilOpen();
  });

  it("so is the success of a prober whose event loop was blocked past its lease", async () => {
    const [a] = await fleet.opened(2);
    await fleet.untilAll("half-open");
    const probe = a.begin();
    fleet.clock.block(4_000);
    probe.succeed();
    expect(await probe.ended).toBe("ok");
    await fleet.clock.advance(0);
    expect(a.all("probed")).toMatchObject([{ outcome: "fenced" }]);
    expect(a.all("fleet-changed").map(({ reason }) => reason)).not.toContain("a probe succeeded");
  });

  it("a probe that hangs frees its slot by its own timeout", async () => {
    const [a] = await fleet.opened(2);
    await fleet.untilAll("half-open");
    const probe = a.begin();
    await fleet.clock.advance(1_400);
    expect(fleet.states).toEqual(["half-open", "half-open"]);
    await fleet.clock.advance(200);
    expect(fleet.states).toEqual(["open", "open"]);
    expect(await probe.ended).toMatch(/time limit/);
    expect(a.all("probed")).toMatchObject([{ outcome: "failure" }]);
  });

  it("a probe that hangs has failed, whatever the caller's predicates make of its error", async () => {
    const [a, b] = (await fleet.open(2, { failureIf: (error) => String(error).includes("dependency") })) as [
      TestNode,
      TestNode,
    ];
    await a.trip();
    await b.trip();
    await fleet.untilAll("half-open");
    const probe = a.begin();
    await fleet.clock.advance(1_600);
    expect(await probe.ended).toMatch(/time limit/);
    expect(a.all("probed")).toMatchObject([{ outcome: "failure" }]);
  });

  it("an excluded outcome is no verdict: the slot is free again", async () => {
    const [a] = await fleet.opened(2);
    await fleet.untilAll("half-open");
    const aborter = new AbortController();
    const probe = a.breaker.execute(
      ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
      aborter.signal,
    );
    aborter.abort(new Error("the caller went away"));
    await expect(probe).rejects.toThrow("the caller went away");
    await fleet.clock.advance(10);
    const contended = (): never => {
      throw new LeaseholdError("ACQUIRE_TIMEOUT", "contention");
    };
    await expect(a.breaker.execute(contended)).rejects.toThrow("contention");
    await fleet.clock.advance(10);
    expect(fleet.states).toEqual(["half-open", "half-open"]);
    expect(a.all("probed").map(({ outcome }) => outcome)).toEqual(["excluded", "excluded"]);
    expect(await a.call()).toBe("ok");
    await fleet.untilAll("closed");
  });

  it("a predicate that throws frees the slot, too; a slow success counts as a failure", async () => {
    let isBroken = true;
    const failureIfResult = (): boolean => {
      if (isBroken) throw new Error("a bug in the predicate");
      return false;
    };
    const [a, b] = await fleet.open(2, {
      failureIfResult,
      window: { type: "count", calls: 3 },
      slowCallMs: 1_000,
    });
    await a!.trip();
    await b!.trip();
    await fleet.untilAll("half-open");
    await expect(a!.breaker.execute(() => "ok")).rejects.toThrow("a bug in the predicate");
    await fleet.clock.advance(10);
    isBroken = false;
    const slow = a!.begin();
    await fleet.clock.advance(1_100);
    slow.succeed();
    expect(await slow.ended).toBe("ok");
    await fleet.untilOpen();
  });
});
