import * as fc from "fast-check";
import { expect, test } from "vitest";

import { resultCodec } from "./result-codec.ts";

const encode = (value: unknown): string => resultCodec.encode(value);
const decode = (text: string): unknown => resultCodec.decode(text);
const roundTrip = (value: unknown): unknown => decode(encode(value));

test("values that JSON drops come back as they were", () => {
  const value = {
    undefined,
    big: -(2n ** 90n),
    date: new Date(1_700_000_000_123),
    invalid: new Date(Number.NaN),
    bytes: new Uint8Array([0, 1, 254, 255]),
    numbers: [Number.NaN, -0, Infinity, -Infinity],
    list: [undefined, null, [[]]],
  };
  expect(roundTrip(value)).toEqual(value);
  expect(Object.is((roundTrip([-0]) as number[])[0], -0)).toBe(true);
  expect(roundTrip(undefined)).toBeUndefined();
});

test("a Buffer comes back as bytes", () => {
  expect(roundTrip(Buffer.from("é"))).toEqual(new Uint8Array([0xc3, 0xa9]));
});

test("members named like the codec's own, or like a prototype, are members", () => {
  const value = { $: { $: "bigint", v: "1" }, v: [{ $: 1 }], constructor: 1 };
  expect(roundTrip(value)).toEqual(value);
  const sly = JSON.parse('{"__proto__": {"polluted": true}, "a": {"__proto__": 1}}') as object;
  const back = roundTrip(sly) as { a: object };
  expect(Object.keys(back)).toEqual(["__proto__", "a"]);
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test("any JSON value, and more, comes back as it was", () => {
  const leaf = fc.oneof(
    fc.anything({ withDate: true, withBigInt: true, withTypedArray: false, maxDepth: 0 }),
  );
  // Few items each: the time that a tree takes is the product of the lengths on the way down.
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.uint8Array(),
      fc.array(tie("tree"), { maxLength: 5 }),
      fc.dictionary(fc.oneof(fc.string(), fc.constant("$")), tie("tree"), {
        noNullPrototype: true,
        maxKeys: 5,
      }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      expect(roundTrip(value)).toEqual(value);
    }),
  );
});

test("a value that would not come back as it was is refused", () => {
  const cycle: unknown[] = [];
  cycle.push(cycle);
  class Money {}
  for (const value of [
    cycle,
    () => 1,
    Symbol("x"),
    new Map(),
    new Set(),
    new Money(),
    { a: new Error("x") },
    [[new Money()]],
  ])
    expect(() => encode(value)).toThrow(TypeError);
});

test("a text that the codec does not write is refused", () => {
  const hostile = [
    "",
    "1",
    "2{}",
    "{}",
    "1{",
    '1{"$":"function","v":"x"}',
    '1{"$":"bigint","v":"1e9"}',
    '1{"$":"bigint"}',
    '1{"$":"date","v":"now"}',
    '1{"$":"bytes","v":7}',
    '1{"$":"object","v":[]}',
    '1{"$":"number","v":"7"}',
    '1{"$":{"$":"undefined"}}',
    `1${"[".repeat(100_000)}${"]".repeat(100_000)}`,
    `1{"$":"bigint","v":"${"9".repeat(10_001)}"}`,
  ];
  for (const text of hostile)
    expect(() => decode(text), text.slice(0, 40)).toThrow(/not a result|JSON|unknown kind|nested/);
});
