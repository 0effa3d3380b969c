import { expect, it } from "vitest";

import { ProbeSlot } from "./probe-slot.ts";

const held = { term: 7n, isHeld: () => true };

it("lets one call through each time it is opened, and none while it is shut", async () => {
  const slot = new ProbeSlot();
  expect(slot.take()).toBe(null);
  const found = slot.open(held);
  expect(slot.isFree).toBe(true);
  const pass = slot.take();
  expect(pass?.term).toBe(7n);
  expect([slot.isFree, slot.isTaken, slot.take()]).toEqual([false, true, null]);
  expect(pass?.handIn("excluded")).toBe(true);
  expect(await found).toBe("excluded");
  // The next call waits until the leader has drawn its conclusion.
  expect(slot.take()).toBe(null);
  void slot.open(held);
  expect(slot.take()).not.toBe(null);
});

it("takes no verdict of a probe whose slot was closed, or opened anew", () => {
  const slot = new ProbeSlot();
  void slot.open(held);
  const first = slot.take();
  slot.shut();
  expect(first?.handIn("success")).toBe(false);
  void slot.open(held);
  const second = slot.take();
  expect(first?.handIn("success")).toBe(false);
  expect(second?.handIn("success")).toBe(true);
});

it("lets no call through under a lease that has run out", () => {
  const slot = new ProbeSlot();
  void slot.open({ term: 7n, isHeld: () => false });
  expect([slot.isFree, slot.take()]).toEqual([false, null]);
});
