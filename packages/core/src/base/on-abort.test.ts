import { getEventListeners } from "node:events";

import { expect, it } from "vitest";

import { onAbort } from "./on-abort.ts";

it("calls everybody back once, in order, but not who has left", () => {
  const aborter = new AbortController();
  const called: string[] = [];
  const leaves = ["a", "b", "c"].map((name) => onAbort(aborter.signal, () => called.push(name)));
  leaves[1]!();
  aborter.abort();
  aborter.abort();
  expect(called).toEqual(["a", "c"]);
  for (const leave of leaves) leave();
});

it("does not call back who is made to leave by another", () => {
  const aborter = new AbortController();
  const called: string[] = [];
  onAbort(aborter.signal, () => leave());
  const leave = onAbort(aborter.signal, () => called.push("late"));
  aborter.abort();
  expect(called).toEqual([]);
});

it("has one listener however many wait, and none when the last has left", () => {
  const { signal } = new AbortController();
  const listeners = (): number => getEventListeners(signal, "abort").length;
  const callback = (): void => {};
  const leaves = [callback, callback].map((each) => onAbort(signal, each));
  expect(listeners()).toBe(1);
  leaves[0]!();
  leaves[0]!();
  expect(listeners()).toBe(1);
  leaves[1]!();
  expect(listeners()).toBe(0);
  onAbort(signal, callback);
  expect(listeners()).toBe(1);
});
