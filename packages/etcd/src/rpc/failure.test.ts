import { status as Code } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { classify, RpcFailure, toLeaseholdError } from "./failure.ts";

describe("what the status of a failed call proves", () => {
  test.each([
    [Code.UNAVAILABLE, "No connection established", false, "unsent"],
    [Code.DEADLINE_EXCEEDED, "Deadline exceeded", false, "unsent"],
    [Code.UNAVAILABLE, "Connection dropped", true, "unanswered"],
    [Code.UNAVAILABLE, "etcdserver: rpc not supported for learner", true, "unsent"],
    [Code.UNAVAILABLE, "etcdserver: leader changed", true, "unanswered"],
    [Code.UNAVAILABLE, "etcdserver: request timed out", true, "unanswered"],
    [Code.UNAVAILABLE, "etcdserver: no leader", true, "unsent"],
    [Code.DEADLINE_EXCEEDED, "context deadline exceeded", true, "unanswered"],
    [Code.CANCELLED, "given up", true, "unanswered"],
    [Code.UNKNOWN, "Stream removed", true, "unanswered"],
    [Code.INTERNAL, "Received RST_STREAM with code 2", true, "unanswered"],
    [Code.NOT_FOUND, "etcdserver: requested lease not found", true, "lease-gone"],
    [Code.UNAUTHENTICATED, "etcdserver: invalid auth token", true, "token"],
    [Code.INVALID_ARGUMENT, "etcdserver: revision of auth store is old", true, "token"],
    [Code.INVALID_ARGUMENT, "etcdserver: user name is empty", true, "token"],
    [Code.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password", true, "denied"],
    [Code.PERMISSION_DENIED, "etcdserver: permission denied", true, "denied"],
    [Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", true, "no-space"],
    [Code.RESOURCE_EXHAUSTED, "etcdserver: too many requests", true, "busy"],
    [Code.INVALID_ARGUMENT, "etcdserver: request is too large", true, "refused"],
    [Code.UNIMPLEMENTED, "Received HTTP status code 404", true, "refused"],
  ])("%i %s (sent: %s) is %s", (code, details, sent, kind) => {
    expect(classify({ code, details }, sent)).toBe(kind);
  });
});

describe("what a failure means to a caller", () => {
  test.each([
    ["unanswered", true, "OUTCOME_UNKNOWN", false],
    ["locked-out", true, "BACKEND_UNAVAILABLE", false],
    ["unanswered", false, "BACKEND_UNAVAILABLE", false],
    ["unsent", true, "BACKEND_UNAVAILABLE", false],
    ["busy", true, "BACKEND_UNAVAILABLE", false],
    ["no-space", true, "BACKEND_UNAVAILABLE", false],
    ["lease-gone", true, "BACKEND_UNAVAILABLE", false],
    ["denied", true, "BACKEND_UNAVAILABLE", true],
    ["token", true, "BACKEND_UNAVAILABLE", true],
    ["refused", true, "BACKEND_UNAVAILABLE", true],
    ["closed", true, "CLOSED", false],
  ] as const)("%s (write: %s) is %s, permanent: %s", (kind, write, code, permanent) => {
    const error = toLeaseholdError(new RpcFailure(kind, "why"), "acquire", write);
    expect(error).toMatchObject({ code, permanent });
  });

  test("an etcd without space says what to do", () => {
    const { message } = toLeaseholdError(new RpcFailure("no-space", "why"), "acquire", true);
    expect(message).toMatch(/compact and defragment/i);
    expect(message).toContain("etcdctl alarm disarm");
  });
});
