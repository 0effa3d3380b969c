import { handleAll, retry, wrap, type IPolicy } from "cockatiel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { sharedCircuitBreaker } from "./fleet-circuit-breaker.ts";
import { TestFleet, testOptions } from "./test-fleet.ts";

let fleet: TestFleet;

beforeEach(() => {
  fleet = new TestFleet();
});

afterEach(() => fleet.close());

describe("a close", () => {
  it("leaves nothing in line and no timer; the node's own breaker goes on", async () => {
    const [a, b, c] = await fleet.opened(3);
    await Promise.all([a.breaker.close(), b.breaker.close()]);
    await fleet.clock.advance(0);
    expect(await fleet.standing()).toEqual([]);
    expect(c!.breaker.state).toBe("closed");
    expect([a.breaker.state, a.breaker.governedBy]).toEqual(["open", "local"]);
    await fleet.clock.advance(2_000);
    expect(await a.call()).toBe("ok");
    expect(a.changes.at(-1)).toMatchObject({ to: "closed" });
    await expect(a.breaker.isolateFleet("too late")).rejects.toMatchObject({ code: "CLOSED" });
    await expect(a.breaker.resetFleet()).rejects.toMatchObject({ code: "CLOSED" });
    await a.breaker.close();
  });

  it("does not wait for a store that does not answer", async () => {
    const [a] = await fleet.opened(2);
    a.link.cut();
    let isClosed = false;
    void a.breaker.close().then(() => (isClosed = true));
    await fleet.clock.advance(1_000);
    expect(isClosed).toBe(true);
  });

  it.each(["in reach", "out of reach"])("comes with the coordinator's, with the store %s", async (store) => {
    const [a] = await fleet.opened(2);
    if (store === "out of reach") a.link.cut();
    // It has a reason to stand, and cannot; and some looks under way get no answer.
    await fleet.clock.advance(6_000);
    await a.trip();
    const closed = a.coordinator.close();
    await fleet.clock.advance(10_000);
    await closed;
    expect(a.breaker.governedBy).toBe("local");
    expect(await a.call()).toBe("ok");
    await expect(a.breaker.isolateFleet("x")).rejects.toMatchObject({ code: "CLOSED" });
  });
});

describe("as a policy", () => {
  it("composes with cockatiel's, and tells what its calls did, the probe's too", async () => {
    const [a] = await fleet.opened(2);
    const told: string[] = [];
    const entries = [
      a.breaker.onSuccess(() => told.push("success")),
      a.breaker.onFailure(({ handled }) => told.push(`failure ${handled}`)),
    ];
    const policy: IPolicy = a.breaker;
    const both = wrap(retry(handleAll, { maxAttempts: 0 }), policy);
    await expect(both.execute(() => 1)).rejects.toMatchObject({ isBrokenCircuitError: true });
    await fleet.untilAll("half-open");
    await expect(both.execute(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await fleet.clock.advance(5_000);
    await fleet.until("closed", async () => (await a.call()) === "ok");
    expect(told).toEqual(["failure true", "success"]);
    for (const entry of entries) entry.dispose();
    await fleet.untilAll("closed");
    expect(await a.call()).toBe("ok");
    expect(told).toHaveLength(2);
  });

  it("checks arguments like the local breaker, and gives no slot to a call that was aborted before", async () => {
    const [a] = await fleet.opened(2);
    await fleet.untilAll("half-open");
    await expect(a.breaker.execute(7 as never)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(a.breaker.execute(() => 1, 7 as never)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const over = AbortSignal.abort(new Error("over"));
    await expect(a.breaker.execute(() => 1, over)).rejects.toThrow("over");
    expect(await a.call()).toBe("ok");
  });

  it("refuses options out of bounds", async () => {
    const [a] = await fleet.open(1);
    const make = (options: object): unknown =>
      sharedCircuitBreaker(a!.coordinator, { ...testOptions, clock: fleet.clock, ...options });
    for (const options of [
      { minimum: 0 },
      { minimum: 1.5 },
      { share: 0.5 },
      { share: 0, nodes: () => 3 },
      { share: 1.1, nodes: () => 3 },
      { nodes: 3 },
      { node: "" },
      { node: "n".repeat(201) },
      { ttlMs: 0.5 },
      { ttlMs: 19 },
      { pollMs: 0 },
      { maxStalenessMs: 1_000 },
      { probeWaitMs: -1 },
      { name: "n".repeat(512) },
      { name: "n".repeat(500) },
      { name: "" },
    ])
      expect(() => make(options), JSON.stringify(options)).toThrow(
        expect.objectContaining({ code: "INVALID_ARGUMENT" }),
      );
    expect(() => sharedCircuitBreaker({} as never, testOptions)).toThrow(/createCoordinator/);
  });
});
