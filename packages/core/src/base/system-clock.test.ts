import { mock } from "node:test";

import { afterEach, describe, expect, it, vi } from "vitest";

import { systemClock } from "./system-clock.ts";

describe("the system's clock", () => {
  it("waits out a delay that setTimeout would turn into 1 ms", () => {
    let fired = false;
    const timer = systemClock.schedule(2 ** 40, () => (fired = true));
    timer.cancel();
    expect(fired).toBe(false);
  });

  it("advances in milliseconds on both clocks", () => {
    const { monoMs, wallMs } = systemClock.now();
    expect(wallMs).toBeGreaterThan(Date.UTC(2025, 0, 1));
    expect(systemClock.now().monoMs).toBeGreaterThanOrEqual(monoMs);
  });
});

describe("the system's clock under a test that fakes time", () => {
  type Fake = NonNullable<NonNullable<Parameters<typeof vi.useFakeTimers>[0]>["toFake"]>[number];

  afterEach(() => {
    vi.useRealTimers();
    mock.timers.reset();
  });

  /** What both clocks and a timer saw of ten faked seconds. */
  function tenSeconds(advance: (ms: number) => void): { monoMs: number; wallMs: number; fired: boolean } {
    const start = systemClock.now();
    let fired = false;
    const timer = systemClock.schedule(9_999, () => (fired = true));
    advance(10_000);
    timer.cancel();
    const { monoMs, wallMs } = systemClock.now();
    return { monoMs: monoMs - start.monoMs, wallMs: wallMs - start.wallMs, fired };
  }

  it.each<{ toFake: Fake[] }>([
    { toFake: ["setTimeout", "clearTimeout", "Date", "performance"] },
    { toFake: ["setTimeout", "clearTimeout", "Date"] },
    { toFake: ["setTimeout", "clearTimeout", "performance"] },
  ])("goes by the faked time where $toFake are faked", ({ toFake }) => {
    vi.useFakeTimers({ toFake });
    const seen = tenSeconds((ms) => vi.advanceTimersByTime(ms));
    expect(seen.fired).toBe(true);
    expect(seen.monoMs).toBeCloseTo(10_000, 0);
    expect(seen.wallMs).toBeCloseTo(10_000, 0);
  });

  it("goes on where it was when the faking begins and ends, wherever the faked clocks start", () => {
    const { monoMs } = systemClock.now();
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
    const begun = systemClock.now();
    mock.timers.tick(10_000);
    const ticked = systemClock.now();
    mock.timers.reset();
    const after = systemClock.now();
    const steps = [begun.monoMs - monoMs, ticked.monoMs - begun.monoMs, after.monoMs - ticked.monoMs];
    expect(steps.map((ms) => Math.floor(ms / 5_000))).toEqual([0, 2, 0]);
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(0);
  });

  it("goes by the faked time of node:test, which has no monotonic clock", () => {
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
    const seen = tenSeconds((ms) => mock.timers.tick(ms));
    expect(seen).toEqual({ monoMs: 10_000, wallMs: 10_000, fired: true });
  });

  it.each<{ toFake: Fake[] }>([
    { toFake: ["setTimeout", "clearTimeout"] },
    { toFake: ["Date"] },
    { toFake: ["performance"] },
    { toFake: ["Date", "performance"] },
  ])("goes by the real time where only $toFake are faked", ({ toFake }) => {
    vi.useFakeTimers({ toFake });
    const startedAt = process.hrtime.bigint();
    const seen = tenSeconds((ms) => vi.advanceTimersByTime(ms));
    const realMs = Number(process.hrtime.bigint() - startedAt) / 1e6;
    expect(seen.fired).toBe(false);
    // However long this took: the ten faked seconds are not in it.
    expect(seen.monoMs).toBeLessThan(realMs + 5_000);
    expect(seen.wallMs).toBeLessThan(realMs + 5_000);
  });

  it("is not fooled by a date that a test sets, while its timers are real", () => {
    const before = systemClock.now();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.UTC(2040, 0, 1) });
    const anHourMs = 3_600_000;
    expect(systemClock.now().wallMs - before.wallMs).toBeLessThan(anHourMs);
  });
});
