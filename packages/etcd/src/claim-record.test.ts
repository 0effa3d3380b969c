import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRecord, encodeRecord } from "./claim-record.ts";

const owner = "0123456789abcdef0123456789abcdef";

test("a record reads back as what was written, whatever the value", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (value) => {
      expect(decodeRecord(encodeRecord({ owner, value }))).toEqual({ owner, value });
    }),
  );
});

test.each(["", ":", "xyz:v", owner, ` ${owner}:v`, `\n${owner}:v`])("%j is no record", (text) => {
  expect(decodeRecord(Buffer.from(text))).toBe(undefined);
});
