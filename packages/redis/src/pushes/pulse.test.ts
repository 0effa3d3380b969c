import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";

import { Pulse } from "./pulse.ts";

/** A pulse on a simulated clock, and what came of it. */
function startPulse(ask: () => Promise<unknown>) {
  const clock = new SimClock();
  const seen = { asked: 0, deaf: 0, isNeeded: true };
  const pulse = new Pulse({
    clock,
    ask: () => {
      seen.asked += 1;
      return ask();
    },
    isNeeded: () => seen.isNeeded,
    deaf: () => (seen.deaf += 1),
  });
  return { clock, pulse, seen };
}

const answers = (): Promise<unknown> => Promise.resolve("PONG");
const silence = (): Promise<unknown> => new Promise(() => {});

test("it asks after each silence of five seconds, and an answer is enough", async () => {
  const { clock, seen } = startPulse(answers);
  await clock.advance(4_999);
  expect(seen.asked).toBe(0);
  await clock.advance(15_001);
  expect(seen).toMatchObject({ asked: 4, deaf: 0 });
});

test("what is heard by itself is an answer, too", async () => {
  const { clock, pulse, seen } = startPulse(silence);
  for (let second = 0; second < 60; second += 1) {
    pulse.heard();
    await clock.advance(1_000);
  }
  expect(seen).toMatchObject({ asked: 0, deaf: 0 });
});

test("a refusal came over the connection, so the connection lives", async () => {
  const { clock, seen } = startPulse(() => Promise.reject(new Error("NOPERM")));
  await clock.advance(60_000);
  expect(seen.asked).toBeGreaterThan(10);
  expect(seen.deaf).toBe(0);
});

test("a question that nothing answers ends it, once", async () => {
  const { clock, pulse, seen } = startPulse(silence);
  await clock.advance(7_999);
  expect(seen.deaf).toBe(0);
  await clock.advance(1);
  await expect.poll(() => seen.deaf).toBe(1);
  pulse.doubt();
  await clock.advance(60_000);
  expect(seen).toMatchObject({ asked: 1, deaf: 1 });
  expect(clock.pending).toBe(0);
});

test("a doubt asks at once, and not twice at a time", async () => {
  const { clock, pulse, seen } = startPulse(silence);
  pulse.doubt();
  pulse.doubt();
  expect(seen.asked).toBe(1);
  await clock.advance(3_000);
  await expect.poll(() => seen.deaf).toBe(1);
});

test("after a blocked event loop an answer that lies in the socket still counts", async () => {
  const { clock, pulse, seen } = startPulse(() => new Promise((resolve) => setImmediate(resolve)));
  pulse.doubt();
  clock.block(10_000);
  await clock.advance(0);
  expect(seen).toMatchObject({ asked: 1, deaf: 0 });
});

test("nobody listens: nothing is asked; stopped: nothing is left", async () => {
  const { clock, pulse, seen } = startPulse(silence);
  seen.isNeeded = false;
  await clock.advance(60_000);
  expect(seen.asked).toBe(0);
  pulse.stop();
  expect(clock.pending).toBe(0);
});
