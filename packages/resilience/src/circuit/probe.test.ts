import { getEventListeners } from "node:events";
import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, it } from "vitest";

import { probe } from "./probe.ts";

let clock: SimClock;

beforeEach(() => {
  clock = new SimClock();
});

const caught = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

it("passes on how the work ends, and leaves nothing behind", async () => {
  const { signal } = new AbortController();
  const failure = new Error("x");
  expect(await probe(() => 1, { clock, timeoutMs: 100, signal })).toBe(1);
  expect(await caught(probe(() => Promise.reject(failure), { clock, timeoutMs: 100, signal }))).toBe(failure);
  expect(
    await caught(
      probe(
        () => {
          throw failure;
        },
        { clock, timeoutMs: 100, signal },
      ),
    ),
  ).toBe(failure);
  expect([clock.pending, getEventListeners(signal, "abort")]).toEqual([0, []]);
});

it("rejects at its time with its own error, whatever the work does on hearing of it", async () => {
  const heard: string[] = [];
  const call = caught(
    probe(
      ({ signal }) =>
        new Promise<void>((_, reject) => {
          signal.addEventListener("abort", () => {
            heard.push("work");
            reject(new Error("its own"));
          });
        }),
      { clock, timeoutMs: 100 },
    ),
  );
  await clock.advance(100);
  expect(await call).toMatchObject({ name: "TimeoutError", limit: "probe", afterMs: 100 });
  expect(heard).toEqual(["work"]);
});

it("a caller that had aborted already is passed on to the work", async () => {
  const reason = new Error("left");
  const seen = await probe(({ signal }) => signal.reason as unknown, {
    clock,
    timeoutMs: 100,
    signal: AbortSignal.abort(reason),
  });
  expect(seen).toBe(reason);
});
