import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";

import { Hearing } from "./hearing.ts";

/** A hearing on a simulated clock, and what came of it. */
function startHearing(ask: () => Promise<unknown>) {
  const clock = new SimClock();
  const seen = { asked: 0, deaf: 0, isNeeded: true };
  const hearing = new Hearing({
    clock,
    ask: () => {
      seen.asked += 1;
      return ask();
    },
    isNeeded: () => seen.isNeeded,
    deaf: () => (seen.deaf += 1),
  });
  return { clock, hearing, seen };
}

const answers = (): Promise<unknown> => Promise.resolve("PONG");
const silence = (): Promise<unknown> => new Promise(() => {});

test("it asks after each silence of five seconds, and an answer is enough", async () => {
  const { clock, seen } = startHearing(answers);
  await clock.advance(4_999);
  expect(seen.asked).toBe(0);
  await clock.advance(15_001);
  expect(seen).toMatchObject({ asked: 4, deaf: 0 });
});

test("what is heard by itself is an answer, too", async () => {
  const { clock, hearing, seen } = startHearing(silence);
  for (let second = 0; second < 60; second += 1) {
    hearing.heard();
    await clock.advance(1_000);
  }
  expect(seen).toMatchObject({ asked: 0, deaf: 0 });
});

test("a refusal came over the connection, so the connection lives", async () => {
  const { clock, seen } = startHearing(() => Promise.reject(new Error("NOPERM")));
  await clock.advance(60_000);
  expect(seen.asked).toBeGreaterThan(10);
  expect(seen.deaf).toBe(0);
});

test("a question that nothing answers ends it, once", async () => {
  const { clock, hearing, seen } = startHearing(silence);
  await clock.advance(7_999);
  expect(seen.deaf).toBe(0);
  await clock.advance(1);
  await expect.poll(() => seen.deaf).toBe(1);
  hearing.doubt();
  await clock.advance(60_000);
  expect(seen).toMatchObject({ asked: 1, deaf: 1 });
  expect(clock.pending).toBe(0);
});

test("a doubt asks at once, and not twice at a time", async () => {
  const { clock, hearing, seen } = startHearing(silence);
  hearing.doubt();
  hearing.doubt();
  expect(seen.asked).toBe(1);
  await clock.advance(3_000);
  await expect.poll(() => seen.deaf).toBe(1);
});

test("after a blocked event loop an answer that lies in the socket still counts", async () => {
  const { clock, hearing, seen } = startHearing(() => new Promise((resolve) => setImmediate(resolve)));
  hearing.doubt();
  clock.block(10_000);
  await clock.advance(0);
  expect(seen).toMatchObject({ asked: 1, deaf: 0 });
});

test("nobody listens: nothing is asked; stopped: nothing is left", async () => {
  const { clock, hearing, seen } = startHearing(silence);
  seen.isNeeded = false;
  await clock.advance(60_000);
  expect(seen.asked).toBe(0);
  hearing.stop();
  expect(clock.pending).toBe(0);
});
