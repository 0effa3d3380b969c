import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";
import { Pulse } from "./pulse.ts";

test("a connection that answers others has not stopped, however long one call waits", async () => {
  const clock = new SimClock();
  const pulse = new Pulse(clock);
  pulse.asked();
  for (let i = 0; i < 20; i++) {
    await clock.advance(200);
    pulse.asked();
    pulse.heard();
    expect(pulse.hasStopped).toBe(false);
  }
  await clock.advance(300);
  expect(pulse.hasStopped, "nothing has come since, and one is still unanswered").toBe(true);
});

test("silence counts from the first question, and not while nothing was asked", async () => {
  const clock = new SimClock();
  const pulse = new Pulse(clock);
  expect(pulse.hasStopped).toBe(false);
  pulse.asked();
  pulse.heard();
  await clock.advance(60_000);
  pulse.asked();
  expect(pulse.hasStopped, "it was idle").toBe(false);
  await clock.advance(200);
  pulse.asked();
  await clock.advance(100);
  expect(pulse.hasStopped, "several short calls add up").toBe(true);
  pulse.heard();
  expect(pulse.hasStopped).toBe(false);
});
