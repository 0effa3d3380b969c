import { SimClock } from "@leasehold/testing";
import { describe, expect, it } from "vitest";

import { elapsedMs, sleep, stayAlive } from "./clock.ts";

describe("elapsed time", () => {
  it("is the larger of what the two clocks saw", () => {
    const clock = new SimClock();
    const start = clock.now();
    clock.block(100);
    expect(elapsedMs(clock, start)).toBe(100);
    clock.stepWall(50);
    expect(elapsedMs(clock, start)).toBe(150);
    clock.stepWall(-1_000);
    expect(elapsedMs(clock, start)).toBe(100);
  });
});

describe("sleep", () => {
  it("ends with its time, or with its signal, and leaves no timer", async () => {
    const clock = new SimClock();
    const slept = sleep(clock, 100);
    await clock.advance(100);
    await slept;
    const aborter = new AbortController();
    const cut = sleep(clock, 100, aborter.signal);
    aborter.abort();
    await cut;
    await sleep(clock, 100, aborter.signal);
    expect(clock.pending).toBe(0);
  });
});

describe("stayAlive", () => {
  it("outlasts the longest timer, and leaves none when it is cancelled", async () => {
    const clock = new SimClock();
    const alive = stayAlive(clock);
    await clock.advance(2 ** 33);
    expect(clock.pending).toBe(1);
    alive.cancel();
    expect(clock.pending).toBe(0);
  });
});
