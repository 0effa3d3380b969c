import { expect, it } from "vitest";

import { isLeaseholdError } from "./errors.ts";
import { createFencingGuard } from "./fencing-guard.ts";

it("accepts a growing sequence of holders, each as often as it comes", () => {
  const guard = createFencingGuard();
  expect(guard.highest).toBe(null);
  for (const token of [5n, 5n, 9n, 9n, 12n]) guard.claim(token);
  expect(guard.highest).toBe(12n);
});

it("refuses a holder whose time is over, from the moment its successor first came, if only to read", () => {
  const guard = createFencingGuard();
  guard.claim(5n);
  guard.claim(9n);
  for (const late of [() => guard.claim(5n), () => guard.check(8n)]) {
    let error: unknown;
    try {
      late();
    } catch (caught) {
      error = caught;
    }
    expect(isLeaseholdError(error, "STALE_TOKEN")).toBe(true);
  }
  expect(guard.highest).toBe(9n);
});

it("lets a reader look without claiming", () => {
  const guard = createFencingGuard();
  guard.claim(5n);
  guard.check(9n);
  guard.claim(5n);
  expect(guard.highest).toBe(5n);
});

it("starts where the resource left off, and takes nothing but tokens", () => {
  const guard = createFencingGuard({ highest: 7n });
  expect(() => guard.claim(6n)).toThrow(/stale/);
  for (const token of [7, "8", -1n, undefined])
    expect(() => guard.claim(token as bigint)).toThrow(/token must be a bigint/);
});
