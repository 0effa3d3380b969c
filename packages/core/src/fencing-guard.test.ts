import { expect, it } from "vitest";

import { isLeaseholdError } from "./errors.ts";
import { createFencingGuard } from "./fencing-guard.ts";

it("accepts holders whose tokens grow, each as often as it comes", () => {
  const guard = createFencingGuard();
  expect(guard.highest).toBe(null);
  for (const token of [5n, 5n, 9n, 9n, 12n]) guard.claim(token);
  expect(guard.highest).toBe(12n);
});

it("refuses a holder as soon as its successor has claimed, be it only to read", () => {
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

it("checks a reader's token without claiming", () => {
  const guard = createFencingGuard();
  guard.claim(5n);
  guard.check(9n);
  guard.claim(5n);
  expect(guard.highest).toBe(5n);
});

it("starts at the token that the resource remembers, and refuses what is no token", () => {
  const guard = createFencingGuard({ highest: 7n });
  expect(() => guard.claim(6n)).toThrow(/stale/);
  for (const token of [7, "8", -1n, undefined])
    expect(() => guard.claim(token as bigint)).toThrow(/token must be a bigint/);
});
