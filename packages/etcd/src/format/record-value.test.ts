import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeOwnerValue,
  decodeRecordValue,
  encodeOwnerValue,
  encodeRecordValue,
  type RecordValue,
} from "./record-value.ts";

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(..."0123456789abcdef".split("")), { minLength: length, maxLength: length })
    .map((digits) => digits.join(""));

const common = {
  owner: hex(32),
  attempt: fc.integer({ min: 1, max: 1_000_000 }),
  fingerprint: hex(64),
  // Well-formed: what bytes of UTF-8 can say.
  body: fc.option(fc.string({ unit: "binary" })),
};
const ended: fc.Arbitrary<RecordValue> = fc.record({
  ...common,
  state: fc.constantFrom("completed", "failed", "released"),
  token: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
});
const running: fc.Arbitrary<RecordValue> = fc.record({
  ...common,
  state: fc.constant("in-progress"),
  token: fc.constant(null),
});

const value: RecordValue = {
  state: "completed",
  owner: "a".repeat(32),
  token: 7n,
  attempt: 1,
  fingerprint: "b".repeat(64),
  body: '{"ok":true}',
};
const text = encodeRecordValue(value).toString();

test("a record reads back as what was written, whatever its body says", () => {
  fc.assert(
    fc.property(fc.oneof(ended, running), (record) => {
      expect(decodeRecordValue(encodeRecordValue(record))).toEqual(record);
    }),
  );
});

test("no result, an empty one, and one that looks like a record are three things", () => {
  for (const body of [null, "", text])
    expect(decodeRecordValue(encodeRecordValue({ ...value, body }))?.body).toBe(body);
});

test.each([
  ["nothing", ""],
  ["another version", text.replace(/^1/, "2")],
  ["another state", text.replace("completed", "paused")],
  ["JSON", JSON.stringify({ __proto__: null, state: "completed" })],
  ["a prototype", `{"__proto__":{"state":"completed"}}`],
  ["depth", "[".repeat(1_000_000)],
  ["a head that is cut off", text.slice(0, 60)],
  ["no attempt", text.replace(":1:", ":0:")],
  ["an end without a token", text.replace(":7:", ":0:")],
  ["a body after none", text.replace(":+", ":-")],
  ["a claim's value", `${"a".repeat(32)}:${"0".repeat(16)}:{}`],
])("%s is no record", (_, stored) => {
  expect(decodeRecordValue(Buffer.from(stored))).toBe(undefined);
});

test("bytes that are no text are no record", () => {
  expect(decodeRecordValue(Buffer.concat([Buffer.from(text), Buffer.from([0xff])]))).toBe(undefined);
});

test("an owner reads back, and nothing else does", () => {
  const owner = { owner: "c".repeat(32), leaseMs: 30_000 };
  const stored = encodeOwnerValue(owner);
  expect(decodeOwnerValue(stored)).toEqual(owner);
  for (const other of ["", "2:ab:1", `${stored.toString()} `, "1:ab:0", "1:xy:1", "{}"])
    expect(decodeOwnerValue(Buffer.from(other)), other).toBe(undefined);
});
