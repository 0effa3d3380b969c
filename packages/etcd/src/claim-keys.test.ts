import fc from "fast-check";
import { encodeName } from "@leasehold/core";
import { expect, test } from "vitest";
import { ClaimKeys, decodeName, type KeyRange } from "./claim-keys.ts";

const keys = new ClaimKeys("leasehold");
const owner = "0123456789abcdef0123456789abcdef";
const other = "0123456789abcdef0123456789abcdf0";

/** As etcd compares: byte for byte, the end left out. */
function contains({ key, range_end }: KeyRange, candidate: Buffer): boolean {
  return Buffer.compare(key, candidate) <= 0 && Buffer.compare(candidate, range_end) < 0;
}

const anyName = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) });

test("a key reads back as what it was made of, for any string, lone surrogates and NUL included", () => {
  fc.assert(
    fc.property(anyName, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (resource, capacity) => {
      const key = keys.claim(resource, capacity, owner, capacity);
      expect(keys.parse(key)).toEqual({ name: encodeName(resource), capacity, owner, weight: capacity });
      expect(decodeName(encodeName(resource))).toBe(resource);
    }),
  );
});

test("the ranges of a resource hold its keys, and no other resource's", () => {
  const related = fc.tuple(anyName, anyName).chain(([a, b]) =>
    fc.constantFrom([a, b] as const, [a, a + b] as const, [a + b, a] as const, [`${a}/1`, a] as const),
  );
  fc.assert(
    fc.property(related, ([mine, theirs]) => {
      fc.pre(mine !== theirs);
      const [ours, foreign] = [keys.claim(mine, 3, owner, 2), keys.claim(theirs, 3, owner, 2)];
      for (const range of [keys.resource(mine), keys.line(mine, 3), keys.own(mine, 3, owner)]) {
        expect(contains(range, ours)).toBe(true);
        expect(contains(range, foreign)).toBe(false);
      }
    }),
  );
});

test("the lines of other capacities lie before and behind, and nothing of ours does", () => {
  for (const capacity of [1, 2, 9, 10, 11, 99, 100, 2 ** 31 - 1]) {
    const [before, behind] = keys.otherLines("r", capacity);
    for (const another of [1, 2, 9, 10, 11, 99, 100, 2 ** 31 - 1]) {
      const key = keys.claim("r", another, owner, 1);
      expect(contains(before, key) || contains(behind, key), `${another} beside ${capacity}`).toBe(
        another !== capacity,
      );
      expect(contains(keys.line("r", capacity), key)).toBe(another === capacity);
    }
  }
});

test("an owner's range holds its claim of any weight, and no other owner's", () => {
  const own = keys.own("r", 100, owner);
  expect(contains(own, keys.claim("r", 100, owner, 1))).toBe(true);
  expect(contains(own, keys.claim("r", 100, owner, 99))).toBe(true);
  expect(contains(own, keys.claim("r", 100, other, 1))).toBe(false);
  expect(contains(own, keys.claim("r", 10, owner, 1))).toBe(false);
});

test.each([
  ["another prefix", `other/r/1/${owner}-1`],
  ["a fence", "leasehold/~fence/r"],
  ["no owner", "leasehold/r/1/-1"],
  ["an owner that is no hexadecimal number", "leasehold/r/1/xyz-1"],
  ["no weight", `leasehold/r/1/${owner}-`],
  ["a weight above the capacity", `leasehold/r/1/${owner}-2`],
  ["a weight of zero", `leasehold/r/1/${owner}-0`],
  ["a capacity of zero", `leasehold/r/0/${owner}-1`],
  ["a capacity with a leading zero", `leasehold/r/01/${owner}-1`],
  ["a capacity beyond 2^31-1", `leasehold/r/2147483648/${owner}-1`],
  ["a number in another notation", `leasehold/r/1e3/${owner}-1`],
  ["one level too many", `leasehold/r/s/1/${owner}-1`],
  ["something behind", `leasehold/r/1/${owner}-1\n`],
  ["nothing at all", ""],
])("a key that is no claim is not read as one: %s", (_, text) => {
  expect(keys.parse(Buffer.from(text))).toBe(undefined);
});

test("bytes that are no text are no claim", () => {
  expect(keys.parse(Buffer.from([0xff, 0xfe, 0x2f, 0x00]))).toBe(undefined);
});

test("a prefix may hold any text", () => {
  const mine = new ClaimKeys("données/ü");
  expect(mine.parse(mine.claim("r", 1, owner, 1))?.owner).toBe(owner);
  expect(keys.parse(mine.claim("r", 1, owner, 1))).toBe(undefined);
});
