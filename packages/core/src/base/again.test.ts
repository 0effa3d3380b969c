import { SimClock } from "@leasehold/testing";
import { expect, it } from "vitest";

import { again, Backoff, type Tries } from "./again.ts";

/** Always one half: every pause is as long as its pace says. */
const even = { hex: () => "", fraction: () => 0.5 };

function tries(clock: SimClock, more: Partial<Tries> = {}): Tries {
  return { clock, random: even, firstMs: 100, longestMs: 400, ...more };
}

/** Fails that many times, and notes when it was called. */
function failing(clock: SimClock, times: number): { act: () => Promise<string>; atMs: number[] } {
  const startMs = clock.now().monoMs;
  const atMs: number[] = [];
  const act = async (): Promise<string> => {
    atMs.push(clock.now().monoMs - startMs);
    if (atMs.length <= times) throw new Error(`failure ${atMs.length}`);
    return "answer";
  };
  return { act, atMs };
}

it("asks until answered, after pauses that double up to the longest", async () => {
  const clock = new SimClock();
  const { act, atMs } = failing(clock, 4);
  const answer = again(act, tries(clock));
  await clock.advance(10_000);
  expect(await answer).toBe("answer");
  expect(atMs).toEqual([0, 100, 300, 700, 1_100]);
});

it("gives up with the last failure when no further try fits in its time", async () => {
  const clock = new SimClock();
  const { act, atMs } = failing(clock, Infinity);
  const ended = expect(again(act, tries(clock, { withinMs: 500 }))).rejects.toThrow("failure 3");
  await clock.advance(10_000);
  await ended;
  expect(atMs).toEqual([0, 100, 300]);
});

it("tells each try how much time is left", async () => {
  const clock = new SimClock();
  const lefts: number[] = [];
  const ended = again(
    async (leftMs) => {
      lefts.push(leftMs);
      if (lefts.length < 3) throw new Error("again");
    },
    tries(clock, { withinMs: 500 }),
  );
  await clock.advance(1_000);
  await ended;
  expect(lefts).toEqual([500, 400, 200]);
});

it("does not ask again after a final failure", async () => {
  const clock = new SimClock();
  const { act, atMs } = failing(clock, Infinity);
  await expect(again(act, tries(clock, { isPassing: () => false }))).rejects.toThrow("failure 1");
  expect(atMs).toEqual([0]);
  expect(clock.pending).toBe(0);
});

it("ends a pause when its signal aborts, with the failure before it", async () => {
  const clock = new SimClock();
  const aborter = new AbortController();
  const { act, atMs } = failing(clock, Infinity);
  const ended = expect(again(act, tries(clock, { signal: aborter.signal }))).rejects.toThrow("failure 2");
  await clock.advance(150);
  aborter.abort();
  await ended;
  expect(atMs).toEqual([0, 100]);
  expect(clock.pending).toBe(0);
});

it("draws each pause from half to one and a half of its length, and begins anew after a reset", () => {
  const pace = { firstMs: 100, longestMs: 150 };
  expect(new Backoff(pace, { ...even, fraction: () => 0 }).nextMs()).toBe(50);
  const backoff = new Backoff(pace, even);
  expect([backoff.nextMs(), backoff.nextMs(), backoff.nextMs()]).toEqual([100, 150, 150]);
  backoff.reset();
  expect(backoff.nextMs()).toBe(100);
});
