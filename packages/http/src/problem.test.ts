import { LeaseholdError, LeaseLostError, type ErrorCode } from "@leasehold/core";
import { expect, test } from "vitest";

import { problemOf, problemResponse } from "./problem.ts";

const types = "urn:problem-type:idempotency:";

test.each<[ErrorCode, { permanent?: boolean; retryAfterMs?: number }, string, number, string | undefined]>([
  ["IDEMPOTENCY_IN_PROGRESS", { retryAfterMs: 1 }, "in-progress", 409, "1"],
  ["IDEMPOTENCY_IN_PROGRESS", { retryAfterMs: 1_001 }, "in-progress", 409, "2"],
  ["IDEMPOTENCY_IN_PROGRESS", { retryAfterMs: 30_000 }, "in-progress", 409, "30"],
  ["IDEMPOTENCY_MISMATCH", {}, "key-reused", 422, undefined],
  ["IDEMPOTENCY_FENCED", {}, "taken-over", 409, "1"],
  ["IDEMPOTENCY_RESULT_UNAVAILABLE", {}, "response-not-kept", 409, undefined],
  ["OUTCOME_UNKNOWN", { permanent: true }, "outcome-unknown", 409, undefined],
  ["OUTCOME_UNKNOWN", {}, "store-unavailable", 503, "5"],
  ["BACKEND_UNAVAILABLE", {}, "store-unavailable", 503, "5"],
  ["BACKEND_UNAVAILABLE", { permanent: true }, "store-unavailable", 503, undefined],
  ["CLOSED", {}, "store-unavailable", 503, "1"],
])("%s %j: %s, %i, Retry-After %s", (code, options, name, status, retryAfter) => {
  const secret = "redis://10.0.0.7:6379 refused key-4711";
  const problem = problemOf(new LeaseholdError(code, secret, options));
  const response = problemResponse(problem!, types);
  const body = JSON.parse(Buffer.from(response.body).toString()) as Record<string, unknown>;
  expect(body).toEqual({
    type: types + name,
    title: expect.any(String),
    status,
    detail: expect.any(String),
  });
  expect(response.status).toBe(status);
  const headers = Object.fromEntries(response.headers);
  expect(headers["content-type"]).toBe("application/problem+json");
  expect(headers["retry-after"]).toBe(retryAfter);
  expect(JSON.stringify([headers, body])).not.toMatch(/redis|10\.0|4711/);
});

test("a lost execution may have had its effect: ask again under the same key", () => {
  expect(problemOf(new LeaseLostError("expired", "late"))).toEqual({
    name: "interrupted",
    retryAfterMs: 1_000,
  });
});

test.each<unknown>([
  new Error("the handler's own"),
  new LeaseholdError("INVALID_ARGUMENT", "scope"),
  new LeaseholdError("STALE_TOKEN", "by the handler"),
  "a string",
  undefined,
])("not ours to explain: %s", (error) => {
  expect(problemOf(error)).toBeNull();
});
