import { expect, it } from "vitest";

import { isLeaseholdError, isOutage, LeaseholdError, mayHaveHappened, type ErrorCode } from "./errors.ts";

const error = (code: ErrorCode, permanent = false): LeaseholdError =>
  new LeaseholdError(code, "…", { permanent });

it("tells a store that is out of reach from one that refuses", () => {
  expect(isOutage(error("BACKEND_UNAVAILABLE"))).toBe(true);
  expect(isOutage(error("BACKEND_UNAVAILABLE", true))).toBe(false);
  expect(isOutage(error("OUTCOME_UNKNOWN"))).toBe(true);
  expect(isOutage(error("IDEMPOTENCY_IN_PROGRESS"))).toBe(false);
  expect(isOutage(new Error("another's"))).toBe(false);
});

it("says that a request may have happened only when no answer came to it", () => {
  expect(mayHaveHappened(error("OUTCOME_UNKNOWN"))).toBe(true);
  expect(mayHaveHappened(error("BACKEND_UNAVAILABLE"))).toBe(false);
  expect(mayHaveHappened(new Error("another's"))).toBe(false);
});

it("recognises the errors of another copy of this package, also with a code that is new to it", () => {
  const foreign = Object.assign(new Error("…"), { "@leasehold/error": true, code: "FROM_THE_FUTURE" });
  expect(isLeaseholdError(foreign)).toBe(true);
  expect(isLeaseholdError(foreign, "CLOSED")).toBe(false);
  expect([isOutage(foreign), mayHaveHappened(foreign)]).toEqual([false, false]);
});
