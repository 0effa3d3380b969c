import { SimClock } from "@leasehold/testing";
import { beforeEach, describe, expect, it } from "vitest";

import type { CircuitBreaker, CircuitEvent } from "./circuit-breaker.ts";
import { circuitBreakers, type CircuitBreakers, type CircuitBreakersOptions } from "./circuit-breakers.ts";

let clock: SimClock;
let events: CircuitEvent[];

beforeEach(() => {
  clock = new SimClock();
  events = [];
});

function registry(options: Partial<CircuitBreakersOptions> = {}): CircuitBreakers {
  return circuitBreakers({
    name: "tenants",
    window: { type: "consecutive", failures: 1 },
    openMs: 1_000,
    idleMs: 60_000,
    maxCircuits: 3,
    clock,
    onEvent: (event) => void events.push(event),
    ...options,
  });
}

async function open(breaker: CircuitBreaker): Promise<void> {
  await breaker.execute(() => Promise.reject(new Error("down"))).catch(() => undefined);
  expect(breaker.state).toBe("open");
}

const keys = (circuits: CircuitBreakers): string[] => [...circuits].map(([key]) => key);

it("has one circuit per key; one that opens leaves the others alone", async () => {
  const circuits = registry();
  const [a, b] = [circuits.get("a"), circuits.get("b")];
  expect(circuits.get("a")).toBe(a);
  await open(a);
  expect(await b.execute(() => "fine")).toBe("fine");
  await expect(a.execute(() => 1)).rejects.toThrow('The circuit "tenants:a" is open');
  expect([a.name, b.name, circuits.name, circuits.size]).toEqual(["tenants:a", "tenants:b", "tenants", 2]);
});

it("events name the registry, which is fit for a label, and separately the key", async () => {
  await open(registry().get("a"));
  expect(events).toEqual([
    {
      type: "changed",
      circuit: "tenants",
      key: "a",
      from: "closed",
      to: "open",
      era: 1,
      reason: "consecutive failures",
    },
  ]);
});

describe("forgets", () => {
  it("a closed circuit that was idle, when a new key arrives, without any timer", async () => {
    const circuits = registry();
    circuits.get("a");
    await clock.advance(59_999);
    circuits.get("b");
    expect(keys(circuits)).toEqual(["a", "b"]);
    await clock.advance(1);
    circuits.get("c");
    expect(keys(circuits)).toEqual(["b", "c"]);
    expect(clock.pending).toBe(0);
  });

  it("what an idle circuit had seen, also when its own key comes back", async () => {
    const circuits = registry({ window: { type: "consecutive", failures: 2 } });
    const fail = (): Promise<unknown> =>
      circuits
        .get("a")
        .execute(() => Promise.reject(new Error("down")))
        .catch(() => undefined);
    await fail();
    await clock.advance(60_000);
    await fail();
    expect(circuits.get("a").state).toBe("closed");
  });

  it("no open circuit: its successor would let all calls through", async () => {
    const circuits = registry();
    await open(circuits.get("a"));
    await clock.advance(3_600_000);
    circuits.get("b");
    expect(circuits.get("a").state).toBe("open");
  });

  it("the least recently used closed circuit when there are too many", async () => {
    const circuits = registry();
    for (const key of ["a", "b", "c", "a", "d"]) circuits.get(key);
    expect(keys(circuits)).toEqual(["c", "a", "d"]);
    await open(circuits.get("c"));
    circuits.get("e");
    circuits.get("f");
    expect(keys(circuits)).toEqual(["c", "e", "f"]);
  });

  it("an open circuit when there are too many and none is closed: a flood of failing keys is bounded", async () => {
    const circuits = registry();
    for (let i = 0; i < 50; i++) await open(circuits.get(`key-${i}`));
    expect(keys(circuits)).toEqual(["key-47", "key-48", "key-49"]);
  });

  it("never an isolated circuit: its operator would not be told", async () => {
    const circuits = registry();
    const isolations = ["a", "b", "c", "d"].map((key) => circuits.get(key).isolate("maintenance"));
    circuits.get("e");
    circuits.get("f");
    await clock.advance(3_600_000);
    circuits.get("g");
    expect(keys(circuits)).toEqual(["a", "b", "c", "d", "g"]);
    for (const isolation of isolations) isolation[Symbol.dispose]();
    await clock.advance(60_000);
    circuits.get("h");
    expect(keys(circuits)).toEqual(["h"]);
  });
});

it("refuses what it cannot work with", () => {
  expect(() => registry({ maxCircuits: 0 })).toThrow("maxCircuits must be a whole number at least 1; got 0");
  expect(() => registry({ idleMs: -1 })).toThrow("idleMs must be");
  expect(() => registry({ name: "" })).toThrow("name must be");
  expect(() => registry().get("")).toThrow("key must be a string of 1 to 512 characters");
  expect(() => circuitBreakers(null as never)).toThrow("options must be an object");
});
