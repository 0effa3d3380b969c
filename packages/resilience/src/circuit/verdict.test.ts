import { LeaseholdError, LeaseLostError, StoredFailure, type ErrorCode } from "@leasehold/core";
import * as cockatiel from "cockatiel";
import { describe, expect, it } from "vitest";

import { TimeoutError } from "../base/time-limit.ts";
import { createJudge } from "./verdict.ts";

const plain = createJudge({});
const error = new Error("x");

describe("says nothing of the dependency", () => {
  it.each<ErrorCode>([
    "ACQUIRE_TIMEOUT",
    "TOO_MANY_WAITERS",
    "INVALID_ARGUMENT",
    "STALE_TOKEN",
    "SHAPE_MISMATCH",
    "CLOSED",
    "IDEMPOTENCY_IN_PROGRESS",
    "IDEMPOTENCY_MISMATCH",
    "IDEMPOTENCY_FENCED",
    "IDEMPOTENCY_RESULT_UNAVAILABLE",
  ])("%s, whatever failureIf says", (code) => {
    const judge = createJudge({ failureIf: () => true });
    expect(judge.ofError(new LeaseholdError(code, "x"), undefined)).toBe("excluded");
  });

  it("a lost lease, an open circuit within, an abort by the caller", () => {
    expect(plain.ofError(new LeaseLostError("gone", "x"), undefined)).toBe("excluded");
    expect(plain.ofError(new cockatiel.BrokenCircuitError(), undefined)).toBe("excluded");
    expect(plain.ofError(error, AbortSignal.abort())).toBe("excluded");
  });

  it("the failure that an idempotency key keeps", () => {
    const stored = new StoredFailure("Error", "card declined", undefined);
    expect(plain.ofError(stored, undefined)).toBe("excluded");
  });

  it("what excludeIf picks", () => {
    const judge = createJudge({ excludeIf: (thrown) => thrown instanceof RangeError });
    expect(judge.ofError(new RangeError(), undefined)).toBe("excluded");
    expect(judge.ofError(error, undefined)).toBe("failure");
  });
});

describe("says that it failed", () => {
  it("a TimeoutError, whatever failureIf says: too late is no answer", () => {
    const judge = createJudge({ failureIf: () => false });
    expect(judge.ofError(new TimeoutError("probe", 50), undefined)).toBe("failure");
    expect(judge.ofError(error, undefined)).toBe("success");
  });

  it("any other error, an unreachable store and an unknown outcome among them", () => {
    expect(plain.ofError(error, undefined)).toBe("failure");
    expect(plain.ofError("a string", new AbortController().signal)).toBe("failure");
    for (const code of ["BACKEND_UNAVAILABLE", "OUTCOME_UNKNOWN"] as const)
      expect(plain.ofError(new LeaseholdError(code, "x"), undefined)).toBe("failure");
  });

  it("a caller whose time was over, by our TimeoutError or the platform's", () => {
    expect(plain.ofError(error, AbortSignal.abort(new TimeoutError("attempt", 5)))).toBe("failure");
    expect(plain.ofError(error, AbortSignal.abort(new DOMException("x", "TimeoutError")))).toBe("failure");
  });

  it("values that failureIfResult picks", () => {
    const judge = createJudge({ failureIfResult: (value) => value === 503 });
    expect([judge.ofValue(503), judge.ofValue(200), plain.ofValue(503)]).toEqual([
      "failure",
      "success",
      "success",
    ]);
  });
});

it("an error that failureIf does not pick is an answer", () => {
  const judge = createJudge({ failureIf: (thrown) => (thrown as { status?: number }).status !== 404 });
  expect(judge.ofError({ status: 404 }, undefined)).toBe("success");
  expect(judge.ofError({ status: 500 }, undefined)).toBe("failure");
});

it("refuses predicates that are no functions", () => {
  expect(() => createJudge({ failureIf: 1 as never })).toThrow("failureIf must be a function; got 1");
  expect(() => createJudge({ failureIfResult: 1 as never })).toThrow("failureIfResult must be");
  expect(() => createJudge({ excludeIf: 1 as never })).toThrow("excludeIf must be");
  expect(() => createJudge({ slowCallMs: -1 })).toThrow("slowCallMs must be");
});
