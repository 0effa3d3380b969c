import { expect, test } from "vitest";

import { readKey } from "./key-field.ts";

const strict = { acceptUnquoted: false };
const lenient = { acceptUnquoted: true };

test.each([
  ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"],
  ['  "a"  ', "a"],
  ['"a b, c; d"', "a b, c; d"],
  ['"say \\"hi\\" \\\\"', 'say "hi" \\'],
  ['"a";source=retry', "a"],
])("%s is a key", (line, key) => {
  expect(readKey([line], strict)).toEqual({ key });
  expect(readKey([line], lenient)).toEqual({ key });
});

test.each(["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "https://example.com/?a=1", "QUJD+/=="])(
  "%s is one where quotes may be left out",
  (line) => {
    expect(readKey([line], strict)).toBe("malformed");
    expect(readKey([line], lenient)).toEqual({ key: line });
  },
);

test.each([
  "",
  '""',
  '"a',
  'a"',
  '"a" "b"',
  '"a", "b"',
  "a, b",
  "a b",
  '"a\u0000"',
  '"ä"',
  "ä",
  '%"a"',
  ":YQ==:",
  "?1",
  '("a")',
  '"a";',
  '"\\a"',
])("%j is none, ever", (line) => {
  expect(readKey([line], strict)).toBe("malformed");
  expect(readKey([line], lenient)).toBe("malformed");
});

test("from 1 to 255 characters, in one line", () => {
  expect(readKey([`"${"k".repeat(255)}"`], strict)).toEqual({ key: "k".repeat(255) });
  expect(readKey([`"${"k".repeat(256)}"`], strict)).toBe("malformed");
  expect(readKey(["k".repeat(256)], lenient)).toBe("malformed");
  expect(readKey([], strict)).toBe("missing");
  // Two halves that a comma would join to a whole key.
  expect(readKey(['"a', 'b"'], strict)).toBe("malformed");
});
