import { systemRandom } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";
import type { ScriptClient } from "./client.ts";
import { Redial } from "./redial.ts";

const readonly = new Error("READONLY You can't write against a read only replica. script: 9b53");

function setUp(): { clock: SimClock; redial: Redial; client: { status: string }; dials: () => number } {
  const clock = new SimClock();
  let dials = 0;
  const client = {
    status: "ready",
    disconnect: (reconnect?: boolean) => void (dials += reconnect === true ? 1 : 1_000_000),
  };
  const random = { ...systemRandom, fraction: () => 0.5 };
  const redial = new Redial(client as unknown as ScriptClient, clock, random);
  return { clock, redial, client, dials: () => dials };
}

test.each(["READONLY x", "MASTERDOWN x", "LOADING x", "NOREPLICAS x"])("%s: connects anew", (message) => {
  const { redial, dials } = setUp();
  redial.answered(new Error(message));
  expect(dials()).toBe(1);
});

test.each(["OOM x", "READONLYNESS x", "ERR READONLY x", ""])("%j: the server is the right one", (message) => {
  const { redial, dials } = setUp();
  redial.answered(new Error(message));
  expect(dials()).toBe(0);
});

test("a server that stays the wrong one is left ever more rarely, and once a second in the end", async () => {
  const { clock, redial, dials } = setUp();
  for (let ms = 0; ms < 30_000; ms += 10) {
    redial.answered(readonly);
    await clock.advance(10);
  }
  expect(dials()).toBeGreaterThan(25);
  expect(dials()).toBeLessThan(40);
});

test("after a calm time it is quick again, and a connection that is not ready is left alone", async () => {
  const { clock, redial, client, dials } = setUp();
  for (let i = 0; i < 10; i++) {
    redial.answered(readonly);
    await clock.advance(1_000);
  }
  const before = dials();
  await clock.advance(20_000);
  client.status = "connecting";
  redial.answered(readonly);
  expect(dials()).toBe(before);
  client.status = "ready";
  redial.answered(readonly);
  await clock.advance(110);
  redial.answered(readonly);
  expect(dials()).toBe(before + 2);
});
