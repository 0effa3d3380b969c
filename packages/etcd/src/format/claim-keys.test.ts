import fc from "fast-check";
import { encodeName } from "@leasehold/core";
import { expect, test } from "vitest";
import { ClaimKeys, type KeyRange } from "./claim-keys.ts";

const process = "0123456789abcdef";
const keys = new ClaimKeys("leasehold", process);

/** As etcd compares: byte for byte, the end left out. */
function contains({ key, range_end }: KeyRange, candidate: Buffer): boolean {
  return Buffer.compare(key, candidate) <= 0 && Buffer.compare(candidate, range_end) < 0;
}

const anyName = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
});

test("a key reads back as what it was made of, for any string, lone surrogates and NUL included", () => {
  fc.assert(
    fc.property(anyName, fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.nat(), (resource, capacity, slot) => {
      const key = keys.claim(resource, capacity, capacity, slot);
      expect(keys.parse(key)).toEqual({ name: encodeName(resource), capacity, weight: capacity });
      const elsewhere = new ClaimKeys("leasehold", "f".repeat(16)).claim(resource, capacity, capacity, slot);
      expect(keys.parse(elsewhere)).toEqual(keys.parse(key));
      expect(elsewhere.equals(key)).toBe(false);
    }),
  );
});

test("the ranges of a resource hold its keys, and no other resource's", () => {
  const related = fc
    .tuple(anyName, anyName)
    .chain(([a, b]) =>
      fc.constantFrom([a, b] as const, [a, a + b] as const, [a + b, a] as const, [`${a}/1`, a] as const),
    );
  fc.assert(
    fc.property(related, ([mine, theirs]) => {
      fc.pre(mine !== theirs);
      const [ours, foreign] = [keys.claim(mine, 3, 2, 0), keys.claim(theirs, 3, 2, 0)];
      for (const range of [keys.resource(mine), keys.line(mine, 3)]) {
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
      const key = keys.claim("r", another, 1, 0);
      expect(contains(before, key) || contains(behind, key), `${another} beside ${capacity}`).toBe(
        another !== capacity,
      );
      expect(contains(keys.line("r", capacity), key)).toBe(another === capacity);
    }
  }
});

test("the pieces of a line cover it, and each key of it is in one of them", () => {
  const weight = fc.integer({ min: 1, max: 1200 });
  fc.assert(
    fc.property(fc.uniqueArray(weight, { maxLength: 12 }), weight, (weights, another) => {
      const { counted, between } = keys.pieces("r", 1200, weights);
      for (const each of [...weights, another]) {
        const key = keys.claim("r", 1200, each, 7);
        const holding = [...counted, ...between].filter((piece) => contains(piece, key));
        expect(holding).toEqual(
          weights.includes(each)
            ? [counted[weights.indexOf(each)]]
            : [between.find((piece) => contains(piece, key))],
        );
      }
      const edges = [...counted, ...between].toSorted((a, b) => Buffer.compare(a.key, b.key));
      expect(edges[0]?.key).toEqual(keys.line("r", 1200).key);
      expect(edges.at(-1)?.range_end).toEqual(keys.line("r", 1200).range_end);
      expect(edges.slice(1).map(({ key }) => key)).toEqual(edges.slice(0, -1).map((edge) => edge.range_end));
    }),
  );
});

test.each([
  ["another prefix", `other/r/1/1/${process}-0`],
  ["a fence", "leasehold/~fence/r"],
  ["no process", "leasehold/r/1/1/-0"],
  ["a process that is no hexadecimal number", "leasehold/r/1/1/0123456789abcdeX-0"],
  ["no slot", `leasehold/r/1/1/${process}`],
  ["no weight", `leasehold/r/1/${process}-0`],
  ["a weight above the capacity", `leasehold/r/1/2/${process}-0`],
  ["a weight of zero", `leasehold/r/1/0/${process}-0`],
  ["a capacity of zero", `leasehold/r/0/1/${process}-0`],
  ["a capacity with a leading zero", `leasehold/r/01/1/${process}-0`],
  ["a capacity beyond 2^31-1", `leasehold/r/2147483648/1/${process}-0`],
  ["a number in another notation", `leasehold/r/1e3/1/${process}-0`],
  ["one level too many", `leasehold/r/s/1/1/${process}-0`],
  ["something behind", `leasehold/r/1/1/${process}-0\n`],
  ["nothing at all", ""],
])("a key that is no claim is not read as one: %s", (_, text) => {
  expect(keys.parse(Buffer.from(text))).toBe(undefined);
});

test("bytes that are no text are no claim", () => {
  expect(keys.parse(Buffer.from([0xff, 0xfe, 0x2f, 0x00]))).toBe(undefined);
});

test("a prefix may hold any text", () => {
  const mine = new ClaimKeys("données/ü", process);
  expect(mine.parse(mine.claim("r", 1, 1, 0))?.name).toBe("r");
  expect(keys.parse(mine.claim("r", 1, 1, 0))).toBe(undefined);
});
