import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, it, vi } from "vitest";

import type { CircuitBreaker, CircuitBreakerOptions } from "./circuit-breaker.ts";
import { begin, fail, open, refusal, testCircuit } from "./test-circuit.ts";
import { TimeoutError } from "../base/time-limit.ts";

let clock: SimClock;

beforeEach(() => {
  clock = new SimClock();
});

async function due(options: Partial<CircuitBreakerOptions> = {}): Promise<CircuitBreaker> {
  const breaker = testCircuit(clock, options);
  await open(breaker);
  await clock.advance(1_000);
  expect([breaker.state, breaker.retryAfterMs]).toEqual(["open", 0]);
  return breaker;
}

it("lets one probe through and refuses the others at once; success closes it", async () => {
  const breaker = await due();
  const probe = begin(breaker);
  expect([breaker.state, breaker.era]).toEqual(["half-open", 2]);
  await clock.advance(4_000);
  expect(await refusal(breaker)).toMatchObject({ state: "half-open", retryAfterMs: 6_000 });
  await probe.resolve();
  expect([breaker.state, breaker.era, breaker.retryAfterMs]).toEqual(["closed", 3, 0]);
  expect(clock.pending).toBe(0);
});

it("a failed probe opens it again", async () => {
  const breaker = await due();
  await begin(breaker).reject();
  expect([breaker.state, breaker.era, breaker.retryAfterMs]).toEqual(["open", 3, 1_000]);
});

it("begins with an empty window when it closes", async () => {
  const breaker = await due();
  await begin(breaker).resolve();
  await breaker.execute(fail).catch(() => undefined);
  expect(breaker.state).toBe("closed");
});

it("a probe that hangs is aborted at its time limit and has failed; its late success changes nothing", async () => {
  const breaker = await due({ halfOpen: { probeTimeoutMs: 500 } });
  const probe = begin(breaker);
  await clock.advance(500);
  expect(probe.signal.reason).toMatchObject({ name: "TimeoutError", limit: "probe" });
  expect(await probe.ended).toBe(probe.signal.reason);
  expect([breaker.state, breaker.era]).toEqual(["open", 3]);
  await probe.resolve();
  expect([breaker.state, breaker.era]).toEqual(["open", 3]);
  await clock.advance(1_000);
  await begin(breaker).resolve();
  expect(breaker.state).toBe("closed");
});

it("a probe whose caller runs out of time has failed at that moment", async () => {
  const breaker = await due();
  const aborter = new AbortController();
  begin(breaker, aborter.signal);
  aborter.abort(new TimeoutError("attempt", 50));
  expect(breaker.state).toBe("open");
});

it("an excluded probe is no verdict, and its slot is free again", async () => {
  const breaker = await due();
  const aborter = new AbortController();
  const probe = begin(breaker, aborter.signal);
  aborter.abort(new Error("left"));
  expect(probe.signal.reason).toBe(aborter.signal.reason);
  await probe.reject(aborter.signal.reason);
  expect([breaker.state, breaker.era, breaker.retryAfterMs]).toEqual(["half-open", 2, 0]);
  await begin(breaker).resolve();
  expect(breaker.state).toBe("closed");
});

it("frees the slot also when a predicate of the caller throws", async () => {
  const bug = new Error("a bug in failureIf");
  let broken = false;
  const failureIf = (): boolean => {
    if (broken) throw bug;
    return true;
  };
  const breaker = await due({ failureIf });
  broken = true;
  await expect(breaker.execute(fail)).rejects.toBe(bug);
  expect([breaker.state, breaker.retryAfterMs]).toEqual(["half-open", 0]);
});

it("a predicate that throws when a caller's time is over becomes a process warning", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  let broken = false;
  const failureIf = (): boolean => {
    if (broken) throw new Error("a bug in failureIf");
    return true;
  };
  const breaker = await due({ failureIf });
  broken = true;
  const aborter = new AbortController();
  const probe = begin(breaker, aborter.signal);
  aborter.abort(new TimeoutError("attempt", 50));
  expect(warn.mock.calls).toEqual([[expect.stringContaining("a bug in failureIf"), "LeaseholdWarning"]]);
  expect([breaker.state, breaker.retryAfterMs]).toEqual(["half-open", 0]);
  await probe.reject();
  warn.mockRestore();
});

it("counts a slow probe as failed", async () => {
  const breaker = await due({ window: { type: "count", calls: 2 }, slowCallMs: 100 });
  const probe = begin(breaker);
  await clock.advance(100);
  await probe.resolve();
  expect(breaker.state).toBe("open");
});

it("of several probes as many may fail as the threshold says", async () => {
  const halfOpen = { calls: 4, threshold: 0.25 };
  for (const [failures, state] of [
    [1, "closed"],
    [2, "open"],
  ] as const) {
    const breaker = await due({ halfOpen });
    const probes = Array.from({ length: 4 }, () => begin(breaker));
    await refusal(breaker);
    for (const [index, probe] of probes.entries())
      await (index < failures ? probe.reject() : probe.resolve());
    expect(breaker.state).toBe(state);
  }
});

it("a failure of a call that began before it opened says nothing of the probe", async () => {
  const breaker = testCircuit(clock);
  const old = begin(breaker);
  await open(breaker);
  await clock.advance(1_000);
  const probe = begin(breaker);
  await old.reject();
  expect(breaker.state).toBe("half-open");
  await probe.resolve();
  expect([breaker.state, breaker.era]).toEqual(["closed", 3]);
});

it("a success of a call that began before it opened does not close it, nor count later", async () => {
  const breaker = testCircuit(clock);
  const [late, later] = [begin(breaker), begin(breaker)];
  await open(breaker);
  await late.resolve();
  expect(breaker.state).toBe("open");
  await clock.advance(1_000);
  await begin(breaker).resolve();
  await breaker.execute(fail).catch(() => undefined);
  // A success of this era would start the row of failures again.
  await later.resolve();
  await breaker.execute(fail).catch(() => undefined);
  expect(breaker.state).toBe("open");
});
