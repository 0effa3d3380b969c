import { createCoordinator, type Coordinator } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";
import { afterAll, expect, test, vi } from "vitest";

import { checkOptions, type IdempotencyKeyOptions } from "./options.ts";

const coordinator = createCoordinator({ backend: memoryBackend() });
afterAll(() => coordinator.close());
const scope = (): string => "acme/charges";
type Options = IdempotencyKeyOptions<unknown, unknown>;

test.each<[string, Partial<Record<keyof Options, unknown>>, RegExp]>([
  ["no scope", { scope: undefined }, /scope must be a function .* the tenant and the operation/],
  ["a scope for everybody", { scope: "charges" }, /scope must be a function/],
  ["no methods", { methods: [] }, /methods/],
  ["methods in lower case", { methods: ["post"] }, /upper case/],
  ["another on5xx", { on5xx: "stored" }, /on5xx/],
  ["a cookie", { keepHeaders: ["Set-Cookie"] }, /must not contain Set-Cookie/],
  ["half a byte", { maxRequestBytes: 0.5 }, /maxRequestBytes/],
  ["a fingerprint that is none", { fingerprint: "sha256" }, /fingerprint/],
  ["a listener that is none", { onEvent: [] }, /onEvent/],
  ["options of the coordinator's", { leaseMs: 5 }, /leaseMs must be at least 20/],
  ["retention below the lease", { leaseMs: 1_000, retentionMs: 999 }, /retentionMs/],
  ["another conflict", { conflict: "queue" }, /conflict/],
])("refuses %s when it is made", (_, options, message) => {
  const make = (): unknown => checkOptions(coordinator, { scope, ...options } as Options);
  expect(make).toThrow(
    expect.objectContaining({ code: "INVALID_ARGUMENT", message: expect.stringMatching(message) }),
  );
});

test("needs a coordinator", () => {
  expect(() => checkOptions({} as Coordinator, { scope })).toThrow(/createCoordinator/);
});

test("a policy of one's own that throws, or answers nonsense, counts as unknown", () => {
  const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  const classify = (classifyStatus: unknown): unknown => {
    const { store } = checkOptions(coordinator, { scope, classifyStatus } as Options);
    return store.classifyResult?.({ status: 200, unhandled: false });
  };
  expect(classify(() => "stored")).toBe("stored");
  expect(classify(() => "released")).toBe("released");
  expect(classify(() => true)).toBe("unknown");
  expect(warned).not.toHaveBeenCalled();
  expect(
    classify(() => {
      throw new Error("oh");
    }),
  ).toBe("unknown");
  expect(warned).toHaveBeenCalledExactlyOnceWith(expect.stringContaining("200"), "LeaseholdWarning");
  warned.mockRestore();
});

test("a 5xx made of an error that nobody meant is unknown, whatever the policy", () => {
  const { store } = checkOptions(coordinator, { scope, on5xx: "released" });
  expect(store.classifyResult?.({ status: 500, unhandled: false })).toBe("released");
  expect(store.classifyResult?.({ status: 500, unhandled: true })).toBe("unknown");
  expect(store.classifyResult?.({ status: 404, unhandled: true })).toBe("stored");
});
