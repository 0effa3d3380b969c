import { getEventListeners } from "node:events";

import { SimClock } from "@leasehold/testing";
import { expect, it } from "vitest";

import type { Clock } from "./clock.ts";
import { within } from "./within.ts";

const never = new Promise<string>(() => {});

it("settles as the work does, and leaves no timer and no listener behind", async () => {
  const clock = new SimClock();
  const { signal } = new AbortController();
  const bound = { clock, limitMs: 1_000, signal };
  expect(await within(Promise.resolve("done"), bound, () => "late")).toBe("done");
  await expect(within(Promise.reject(new Error("broken")), bound, () => "late")).rejects.toThrow("broken");
  expect(clock.pending).toBe(0);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

it("settles as `otherwise` does once the time is over: with a value, or by throwing", async () => {
  const clock = new SimClock();
  const value = within(never, { clock, limitMs: 1_000 }, () => "late");
  const thrown = within(never, { clock, limitMs: 1_000 }, () => {
    throw new RangeError("late");
  });
  const rejected = expect(thrown).rejects.toThrow(RangeError);
  let settled = false;
  void value.then(() => (settled = true));
  await clock.advance(999);
  expect(settled).toBe(false);
  await clock.advance(1);
  expect(await value).toBe("late");
  await rejected;
});

it("ends when its signal aborts, also when it has aborted before", async () => {
  const clock = new SimClock();
  const aborter = new AbortController();
  const waiting = within(never, { clock, signal: aborter.signal }, () => "left");
  aborter.abort();
  expect(await waiting).toBe("left");
  expect(await within(never, { clock, signal: aborter.signal }, () => "left")).toBe("left");
  expect(clock.pending).toBe(0);
});

it("waits out a limit that no single timer can", async () => {
  const clock = new SimClock();
  const limitMs = 2 ** 31 + 1_000;
  const longestMs = 2 ** 31 - 1;
  // Fires early, as setTimeout does with a long delay.
  const ceiled: Clock = {
    now: () => clock.now(),
    schedule: (ms, wake) => clock.schedule(Math.min(ms, longestMs), wake),
  };
  let overAtMs = 0;
  const over = (): void => void (overAtMs = clock.now().monoMs);
  const waiting = within(never, { clock: ceiled, limitMs }, over);
  const startMs = clock.now().monoMs;
  await clock.advance(limitMs);
  await waiting;
  expect(overAtMs - startMs).toBe(limitMs);
});

it("handles a rejection that comes too late", async () => {
  const clock = new SimClock();
  const { promise, reject } = Promise.withResolvers<string>();
  const waiting = within(promise, { clock, limitMs: 10 }, () => "late");
  await clock.advance(10);
  expect(await waiting).toBe("late");
  reject(new Error("nobody listens"));
  // An unhandled rejection would fail the run.
  await clock.advance(10);
});

it("handles a late rejection also where the signal has aborted before", async () => {
  const clock = new SimClock();
  const { promise, reject } = Promise.withResolvers<string>();
  const signal = AbortSignal.abort();
  expect(await within(promise, { clock, limitMs: 10, signal }, () => "left")).toBe("left");
  expect(clock.pending).toBe(0);
  // An unhandled rejection would fail the run.
  reject(new Error("nobody listens"));
  await clock.advance(10);
});
