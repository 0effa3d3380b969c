import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRecord, encodeRecord, recordFrom } from "./claim-record.ts";

const owner = "0123456789abcdef0123456789abcdef";
const digits = "0000000000000042";
const records = fc.record({
  owner: fc.constant(owner),
  sequence: fc.maxSafeNat(),
  evicted: fc.boolean(),
  value: fc.string({ unit: "grapheme" }),
});

test("a record reads back as what was written, whatever the value", () => {
  fc.assert(
    fc.property(records, (record) => {
      expect(decodeRecord(encodeRecord(record))).toEqual(record);
    }),
  );
});

test("records of one owner compare, byte for byte, as their sequences do", () => {
  fc.assert(
    fc.property(records, fc.maxSafeNat(), (record, sequence) => {
      const order = Buffer.compare(encodeRecord(record), Buffer.from(recordFrom(owner, sequence)));
      expect(order < 0).toBe(record.sequence < sequence);
    }),
  );
});

test.each([
  "",
  ":",
  "::",
  owner,
  `${owner}:v`,
  `xyz:${digits}:v`,
  ` ${owner}:${digits}:v`,
  `\n${owner}:${digits}:v`,
  `${owner}:${digits}`,
  `${owner}:${digits}!`,
  `${owner}:${digits}!!:v`,
  `${owner}:42:v`,
  `${owner}:0${digits}:v`,
  `${owner}:-000000000000042:v`,
  `${owner}:0x00000000000042:v`,
  `${owner}:9999999999999999:v`,
])("%j is no record", (text) => {
  expect(decodeRecord(Buffer.from(text))).toBe(undefined);
});
