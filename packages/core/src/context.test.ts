import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, it } from "vitest";

import { systemRandom } from "./base/random.ts";
import { Context } from "./context.ts";
import type { Backend } from "./contract/backend.ts";
import { isLeaseholdError, LeaseholdError } from "./errors.ts";
import { memoryBackend } from "./memory/index.ts";

let backend: Backend;
let closed: number;

/** A context on `backend`, which counts how often it is closed. */
function open(): Context {
  return new Context({ backend, namespace: "default", random: systemRandom, emit: () => {} });
}

beforeEach(() => {
  closed = 0;
  backend = {
    ...memoryBackend({ clock: new SimClock() }),
    [Symbol.asyncDispose]: async () => void (closed += 1),
  };
});

it("refuses new work from the moment that it shuts, and tells whatever goes on", () => {
  const context = open();
  context.assertOpen();
  const told: unknown[] = [];
  context.closing.addEventListener("abort", () => told.push(context.closing.reason));
  const reason = new LeaseholdError("CLOSED", "The coordinator was closed.");
  context.shut(reason);
  expect(told).toEqual([reason]);
  expect(() => context.assertOpen()).toThrow(
    expect.toSatisfy((error) => isLeaseholdError(error, "CLOSED")) as Error,
  );
});

it("attends work until it has settled, whether it succeeds or fails", async () => {
  const context = open();
  const [one, two] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  context.attend(one.promise);
  context.attend(two.promise);
  let attended = false;
  const waiting = context.attended().then(() => (attended = true));
  one.resolve();
  await one.promise;
  expect(attended).toBe(false);
  // Handled by the context: an unhandled rejection would fail the run.
  two.reject(new Error("its caller's affair"));
  await waiting;
  await context.attended();
});

it("keeps a backend open until the last of its users leaves", async () => {
  const [one, two] = [open(), open()];
  await one.leaveBackend();
  expect(closed).toBe(0);
  await two.leaveBackend();
  expect(closed).toBe(1);
});

it.each([
  ["rejects", () => Promise.reject(new Error("store down"))],
  [
    "throws",
    () => {
      throw new Error("store down");
    },
  ],
])("leaves a backend that cannot close properly: it %s", async (_, dispose) => {
  backend = { ...backend, [Symbol.asyncDispose]: dispose };
  await expect(open().leaveBackend()).resolves.toBe(undefined);
});
