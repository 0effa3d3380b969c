import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { getEventListeners } from "node:events";
import { LeaseholdError } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { exponentialBackoff } from "../retry/backoff.ts";
import { BrokenCircuitError, IsolatedCircuitError } from "./broken-circuit-error.ts";
import type {
  CircuitBreaker,
  CircuitBreakerOptions,
  CircuitChange,
  CircuitEvent,
} from "./circuit-breaker.ts";
import { circuitBreaker } from "./local-circuit-breaker.ts";
import { begin, fail, failure, open, refusal, testCircuit, type Pending } from "./test-circuit.ts";
import { TimeoutError } from "../base/time-limit.ts";

let clock: SimClock;
let events: CircuitEvent[];

beforeEach(() => {
  clock = new SimClock();
  events = [];
});

function circuit(options: Partial<CircuitBreakerOptions> = {}): CircuitBreaker {
  return testCircuit(clock, { onEvent: (event) => void events.push(event), ...options });
}

describe("a closed circuit", () => {
  it("lets calls through, and passes on how they end", async () => {
    const breaker = circuit();
    expect(await breaker.execute(() => 7)).toBe(7);
    await expect(breaker.execute(fail)).rejects.toBe(failure);
    expect([breaker.state, breaker.era, breaker.retryAfterMs]).toEqual(["closed", 0, 0]);
    expect(events).toEqual([]);
  });

  it("opens when its window says so", async () => {
    const breaker = circuit();
    await open(breaker);
    expect([breaker.state, breaker.era, breaker.retryAfterMs]).toEqual(["open", 1, 1_000]);
  });

  it("opens for values that count as failures, and gives them back", async () => {
    const breaker = circuit({ failureIfResult: (value) => value === 503 });
    expect(await breaker.execute(() => 503)).toBe(503);
    await breaker.execute(() => 503);
    expect(breaker.state).toBe("open");
  });

  it("opens for calls that succeed, but slowly", async () => {
    const breaker = circuit({ window: { type: "count", calls: 4 }, slowCallMs: 100, minimumCalls: 2 });
    for (const ms of [99, 100, 100]) {
      const call = begin(breaker);
      await clock.advance(ms);
      await call.resolve();
    }
    expect(breaker.state).toBe("closed");
    for (const ms of [150, 100]) {
      const call = begin(breaker);
      await clock.advance(ms);
      await call.resolve();
    }
    expect(breaker.state).toBe("open");
    expect(events.at(-1)).toMatchObject({ reason: "slow call rate" });
  });

  it("takes no verdict from an abort, contention, or the caller's own errors", async () => {
    const breaker = circuit({
      window: { type: "consecutive", failures: 1 },
      excludeIf: (e) => e instanceof RangeError,
    });
    const aborter = new AbortController();
    const call = begin(breaker, aborter.signal);
    aborter.abort();
    await call.reject(aborter.signal.reason);
    for (const error of [new LeaseholdError("ACQUIRE_TIMEOUT", "x"), new RangeError()])
      await breaker.execute(() => Promise.reject(error)).catch(() => undefined);
    expect([breaker.state, breaker.era]).toEqual(["closed", 0]);
  });

  it("does not begin a call whose signal has aborted", async () => {
    const fn = vi.fn<() => void>();
    const reason = new Error("left");
    await expect(circuit().execute(fn, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(fn).not.toHaveBeenCalled();
  });

  it("counts a call whose time is over at that moment, once, though the work ignores it and never ends", async () => {
    const breaker = circuit();
    const overdue = (): Pending => {
      const aborter = new AbortController();
      const call = begin(breaker, aborter.signal);
      aborter.abort(new TimeoutError("attempt", 5));
      return call;
    };
    await overdue().reject();
    expect(breaker.state).toBe("closed");
    overdue();
    expect(breaker.state).toBe("open");
  });

  it("leaves no listener on the caller's signal", async () => {
    const { signal } = new AbortController();
    const breaker = circuit();
    await breaker.execute(() => 1, signal);
    await breaker.execute(fail, signal).catch(() => undefined);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("an open circuit", () => {
  it("refuses at once, says until when, and sends nothing", async () => {
    const breaker = circuit();
    await open(breaker);
    await clock.advance(300);
    const error = await refusal(breaker);
    expect(error).toBeInstanceOf(BrokenCircuitError);
    expect(error).toMatchObject({ circuit: "payments", state: "open", era: 1, retryAfterMs: 700 });
    expect(error.message).toBe(
      'The circuit "payments" is open: nothing was sent. Try again in 700 ms, or do without it.',
    );
    expect(clock.pending).toBe(0);
  });

  it("stays open longer each time that its probe fails, by its backoff, and begins anew once it has closed", async () => {
    const openMs = exponentialBackoff({ initialMs: 1_000, maxMs: 3_000, jitter: "none" });
    const breaker = circuit({ openMs });
    await open(breaker);
    for (const expected of [1_000, 2_000, 3_000, 3_000]) {
      expect(breaker.retryAfterMs).toBe(expected);
      await clock.advance(expected);
      await breaker.execute(fail).catch(() => undefined);
    }
    await clock.advance(3_000);
    await breaker.execute(() => 1);
    expect(breaker.state).toBe("closed");
    await open(breaker);
    expect(breaker.retryAfterMs).toBe(1_000);
  });

  it("ignores what the wall clock does", async () => {
    const breaker = circuit();
    await open(breaker);
    clock.stepWall(3_600_000);
    expect((await refusal(breaker)).retryAfterMs).toBe(1_000);
  });
});

describe("by hand", () => {
  it("isolate refuses all, with its reason, until the last who asked has lifted it", async () => {
    const breaker = circuit();
    const [one, other] = [breaker.isolate("migration"), breaker.isolate("incident 7")];
    const error = await refusal(breaker);
    expect(error).toBeInstanceOf(IsolatedCircuitError);
    expect(error).toMatchObject({ state: "isolated", retryAfterMs: Infinity, reason: "migration" });
    expect(error.message).toBe('The circuit "payments" is isolated by hand: migration. Nothing was sent.');
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    expect(await refusal(breaker)).toMatchObject({ reason: "incident 7" });
    await clock.advance(3_600_000);
    expect(breaker.state).toBe("isolated");
    other[Symbol.dispose]();
    expect([breaker.state, breaker.era]).toEqual(["closed", 2]);
  });

  it("an isolation forgets the calls under way, and those seen before", async () => {
    const breaker = circuit();
    await breaker.execute(fail).catch(() => undefined);
    const call = begin(breaker);
    const isolation = breaker.isolate("x");
    await call.reject();
    isolation[Symbol.dispose]();
    await breaker.execute(fail).catch(() => undefined);
    expect(breaker.state).toBe("closed");
  });

  it("an open circuit is open again when its isolation is lifted, and a probe may be due", async () => {
    const breaker = circuit();
    await open(breaker);
    await clock.advance(1_000);
    const probe = begin(breaker);
    const isolation = breaker.isolate("x");
    await probe.resolve();
    expect(breaker.state).toBe("isolated");
    isolation[Symbol.dispose]();
    expect([breaker.state, breaker.retryAfterMs]).toEqual(["open", 0]);
    await begin(breaker).resolve();
    expect(breaker.state).toBe("closed");
  });

  it("reset closes, forgets, and ignores calls that began before; it lifts no isolation", async () => {
    const breaker = circuit();
    await breaker.execute(fail).catch(() => undefined);
    const old = begin(breaker);
    breaker.reset();
    expect([breaker.state, breaker.era]).toEqual(["closed", 1]);
    await old.reject();
    await breaker.execute(fail).catch(() => undefined);
    expect(breaker.state).toBe("closed");
    await open(breaker);
    breaker.reset();
    expect([breaker.state, breaker.retryAfterMs]).toEqual(["closed", 0]);
    await open(breaker);
    using isolation = breaker.isolate("x");
    breaker.reset();
    expect(breaker.state).toBe("isolated");
    isolation[Symbol.dispose]();
    expect(breaker.state).toBe("closed");
  });
});

describe("its listeners", () => {
  it("hear each change, with a new era each time", async () => {
    const changes: CircuitChange[] = [];
    const breaker = circuit();
    const stop = breaker.onStateChange((change) => changes.push(change));
    await open(breaker);
    await clock.advance(1_000);
    await begin(breaker).reject();
    await clock.advance(1_000);
    await begin(breaker).resolve();
    breaker.reset();
    breaker.isolate("by hand")[Symbol.dispose]();
    stop();
    await open(breaker);
    expect(changes).toEqual([
      { from: "closed", to: "open", era: 1, reason: "consecutive failures" },
      { from: "open", to: "half-open", era: 2, reason: "open time over" },
      { from: "half-open", to: "open", era: 3, reason: "probe failed" },
      { from: "open", to: "half-open", era: 4, reason: "open time over" },
      { from: "half-open", to: "closed", era: 5, reason: "probe succeeded" },
      // The reset of a closed circuit began an era, and changed no state.
      { from: "closed", to: "isolated", era: 7, reason: "by hand" },
      { from: "isolated", to: "closed", era: 8, reason: "isolation lifted" },
    ]);
  });

  it("hear changes and refusals by the channel and by the callback", async () => {
    const published: unknown[] = [];
    const listener = (message: unknown): void => void published.push(message);
    subscribe("leasehold:circuit", listener);
    const breaker = circuit();
    try {
      await open(breaker);
      await refusal(breaker);
    } finally {
      unsubscribe("leasehold:circuit", listener);
    }
    const circuitName = { circuit: "payments", key: undefined };
    expect(events).toEqual([
      { type: "changed", ...circuitName, from: "closed", to: "open", era: 1, reason: "consecutive failures" },
      { type: "rejected", ...circuitName, state: "open", era: 1, retryAfterMs: 1_000 },
    ]);
    expect(published).toEqual(events);
  });

  it("change nothing when they throw: the error becomes a process warning", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const broken = (): never => {
      throw new Error("listener");
    };
    const breaker = circuit({ onEvent: broken });
    const heard = vi.fn<() => void>();
    breaker.onStateChange(broken);
    breaker.onStateChange(heard);
    breaker.onSuccess(broken);
    breaker.onFailure(broken);
    expect(await breaker.execute(() => 1)).toBe(1);
    await expect(breaker.execute(fail)).rejects.toBe(failure);
    await expect(breaker.execute(fail)).rejects.toBe(failure);
    expect(breaker.state).toBe("open");
    expect(heard).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalledTimes(5);
    warn.mockRestore();
  });

  it("may act on the circuit: a call goes through if a listener closed it", async () => {
    const breaker = circuit();
    await open(breaker);
    breaker.onStateChange(({ to }) => {
      if (to === "half-open") breaker.reset();
    });
    await clock.advance(1_000);
    const [one, other] = [begin(breaker), begin(breaker)];
    await Promise.all([one.resolve(), other.resolve()]);
    expect(breaker.state).toBe("closed");
  });

  it("hear each call's end by onSuccess and onFailure, and whether it counted", async () => {
    const heard: unknown[] = [];
    const breaker = circuit();
    breaker.onSuccess((event) => heard.push(event));
    breaker.onFailure((event) => heard.push(event));
    const call = begin(breaker);
    await clock.advance(30);
    await call.resolve();
    await breaker.execute(fail).catch(() => undefined);
    const excluded = new LeaseholdError("CLOSED", "x");
    await breaker.execute(() => Promise.reject(excluded)).catch(() => undefined);
    expect(heard).toEqual([
      { duration: 30 },
      { duration: 0, handled: true, reason: { error: failure } },
      { duration: 0, handled: false, reason: { error: excluded } },
    ]);
  });
});

it("refuses what it cannot work with, saying what is wrong", async () => {
  const refused: [Partial<CircuitBreakerOptions>, RegExp][] = [
    [{ name: undefined }, /name must be a string of 1 to 512 characters; got undefined/],
    [{ openMs: 0 }, /openMs must be a finite number above 0; got 0/],
    [{ openMs: "1s" as never }, /openMs must be milliseconds or a backoff; got 1s/],
    [{ halfOpen: 1 as never }, /halfOpen must be an object; got 1/],
    [
      { halfOpen: { calls: 0 } },
      /halfOpen.calls must be a whole number at least 1 and at most 1000000; got 0/,
    ],
    [
      { halfOpen: { threshold: 1 } },
      /halfOpen.threshold must be a finite number at least 0 and below 1; got 1/,
    ],
    [{ halfOpen: { probeTimeoutMs: Infinity } }, /halfOpen.probeTimeoutMs must be a finite number above 0/],
    [{ slowCallMs: NaN }, /slowCallMs/],
    [{ onEvent: 1 as never }, /onEvent must be a function/],
  ];
  for (const [options, message] of refused) expect(() => circuit(options)).toThrow(message);
  expect(() => circuitBreaker(undefined as never)).toThrow("options must be an object; got undefined");
  const breaker = circuit();
  await expect(breaker.execute(1 as never)).rejects.toThrow("fn must be a function; got 1");
  await expect(breaker.execute(() => 1, {} as never)).rejects.toThrow("signal must be an AbortSignal");
  expect(() => breaker.isolate("")).toThrow("reason must be a string");
  expect(() => breaker.onStateChange(1 as never)).toThrow("listener must be a function");
  const broken = circuit({ openMs: () => -1 });
  await broken.execute(fail).catch(() => undefined);
  await expect(broken.execute(fail)).rejects.toThrow("a backoff must answer a number");
});
