import { expect, test } from "vitest";

import { isLeaseholdError } from "../errors.ts";
import { fingerprintOf } from "./fingerprint.ts";

test("the order of members does not matter, and the order of items does", () => {
  expect(fingerprintOf({ a: 1, b: { d: [1, 2], c: null } })).toBe(
    fingerprintOf({ b: { c: null, d: [1, 2] }, a: 1 }),
  );
  expect(fingerprintOf([1, 2])).not.toBe(fingerprintOf([2, 1]));
});

test("a member that JSON leaves out does not count", () => {
  expect(fingerprintOf({ a: 1, b: undefined })).toBe(fingerprintOf({ a: 1 }));
});

test("different payloads have different fingerprints, however alike they look", () => {
  const payloads = [
    undefined,
    null,
    "",
    "null",
    "{}",
    {},
    [],
    0,
    "0",
    false,
    { a: "1" },
    { a: 1 },
    ["a", 1],
    '{"a":1}',
    "none",
  ];
  expect(new Set(payloads.map(fingerprintOf)).size).toBe(payloads.length);
  expect(fingerprintOf({ '":1,"': 1 })).not.toBe(fingerprintOf({ "": 1, "1": 1 }));
});

test("a string counts as its bytes, and a date as its ISO text", () => {
  expect(fingerprintOf("é")).toBe(fingerprintOf(Buffer.from("é")));
  expect(fingerprintOf([new Date(0)])).toBe(fingerprintOf(["1970-01-01T00:00:00.000Z"]));
});

test("a payload that JSON cannot express is refused, as is one that contains itself", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  for (const payload of [
    cycle,
    { n: Number.NaN },
    { n: 1n },
    { f: () => 1 },
    Infinity,
    Symbol("x"),
    new Date(Number.NaN),
  ])
    expect(() => fingerprintOf(payload)).toThrow(
      expect.toSatisfy((error) => isLeaseholdError(error, "INVALID_ARGUMENT")),
    );
});
