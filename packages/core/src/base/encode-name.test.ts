import fc from "fast-check";
import { expect, it } from "vitest";

import { encodeName } from "./encode-name.ts";

const anyString = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
});

it("maps two different strings to two different names", () => {
  fc.assert(
    fc.property(anyString, anyString, (one, two) => {
      fc.pre(one !== two);
      expect(encodeName(one)).not.toBe(encodeName(two));
    }),
    { numRuns: 2_000 },
  );
});

it("can be undone, so nothing is lost", () => {
  const decode = (text: string): string =>
    text.replace(/%([0-9a-f]{4})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  fc.assert(
    fc.property(anyString, (name) => {
      expect(decode(encodeName(name))).toBe(name);
    }),
    { numRuns: 2_000 },
  );
});

it("lets no character through that has a meaning in a key", () => {
  fc.assert(
    fc.property(anyString, (name) => {
      expect(encodeName(name)).toMatch(/^[A-Za-z0-9._:%-]*$/);
    }),
    { numRuns: 2_000 },
  );
});

it("maps a prefix to a prefix, so that access rules can name one", () => {
  fc.assert(
    fc.property(anyString, anyString, (head, tail) => {
      expect(encodeName(head + tail)).toBe(encodeName(head) + encodeName(tail));
    }),
  );
});
