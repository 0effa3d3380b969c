import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, test } from "vitest";
import { Pulse } from "./pulse.ts";

let clock: SimClock;
let bytes: number;
let owed: number;
let silences: number;
let pulse: Pulse;
beforeEach(() => {
  clock = new SimClock();
  bytes = owed = silences = 0;
  pulse = new Pulse({
    clock,
    received: () => bytes,
    isOwing: () => owed > 0,
    onSilent: () => (silences += 1),
  });
});

/** Time passes, and what immediates do with it. */
async function pass(ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 50) {
    await clock.advance(50);
    await new Promise(setImmediate);
  }
}

test("a connection on which anything arrives is alive, however long one call waits", async () => {
  owed = 1;
  pulse.asked();
  for (let i = 0; i < 20; i++) {
    await pass(1_700);
    bytes += 1;
  }
  expect(silences).toBe(0);
});

test("silence for about two seconds with an answer owed", async () => {
  owed = 1;
  pulse.asked();
  await pass(1_000);
  expect({ isSilent: pulse.isSilent, silences }).toEqual({ isSilent: true, silences: 0 });
  await pass(1_000);
  expect(silences).toBe(1);
});

test("the silence of an idle connection means nothing, and leaves no timer", async () => {
  owed = 1;
  pulse.asked();
  owed = 0;
  bytes = 10;
  await pass(60_000);
  expect({ silences, timers: clock.pending }).toEqual({ silences: 0, timers: 0 });
  owed = 1;
  pulse.asked();
  await pass(1_750);
  expect(silences, "it begins with the request").toBe(0);
});

test("a blocked event loop is one look, whatever its length, and sockets are read before it judges", async () => {
  owed = 1;
  pulse.asked();
  await pass(1_500);
  clock.block(60_000);
  // The look comes at once, before the socket is read.
  setImmediate(() => (bytes = 1));
  await pass(50);
  expect(silences).toBe(0);
  await pass(1_900);
  expect(silences, "from then on it counts anew").toBe(0);
  await pass(300);
  expect(silences).toBe(1);
});

test("another connection begins anew", async () => {
  owed = 1;
  pulse.asked();
  await pass(1_750);
  pulse.reset();
  pulse.asked();
  await pass(1_750);
  expect(silences).toBe(0);
});
