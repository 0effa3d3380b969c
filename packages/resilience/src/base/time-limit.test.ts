import { getEventListeners } from "node:events";
import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, it } from "vitest";

import { runWithin, TimeoutError } from "./time-limit.ts";

let clock: SimClock;

beforeEach(() => {
  clock = new SimClock();
});

function probe<T>(fn: (signal: AbortSignal) => PromiseLike<T> | T, signal?: AbortSignal): Promise<T> {
  return runWithin(fn, { clock, limitMs: 100, timeout: () => new TimeoutError("probe", 100), signal });
}

const caught = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

it("passes on how the work ends, and leaves nothing behind", async () => {
  const { signal } = new AbortController();
  const failure = new Error("x");
  expect(await probe(() => 1, signal)).toBe(1);
  expect(await caught(probe(() => Promise.reject(failure), signal))).toBe(failure);
  expect(
    await caught(
      probe(() => {
        throw failure;
      }, signal),
    ),
  ).toBe(failure);
  expect([clock.pending, getEventListeners(signal, "abort")]).toEqual([0, []]);
});

it("rejects at its limit with its own error, whatever the work does when its signal aborts", async () => {
  const heard: string[] = [];
  const call = caught(
    probe(
      (signal) =>
        new Promise<void>((_, reject) => {
          signal.addEventListener("abort", () => {
            heard.push("work");
            reject(new Error("its own"));
          });
        }),
    ),
  );
  await clock.advance(100);
  expect(await call).toMatchObject({ name: "TimeoutError", limit: "probe", afterMs: 100 });
  expect(heard).toEqual(["work"]);
});

it("passes on the abort of a caller that had aborted before", async () => {
  const reason = new Error("left");
  const seen = await probe((signal) => signal.reason as unknown, AbortSignal.abort(reason));
  expect(seen).toBe(reason);
});
