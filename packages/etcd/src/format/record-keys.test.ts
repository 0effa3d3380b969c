import { encodeName } from "@leasehold/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ClaimKeys } from "./claim-keys.ts";
import { RecordKeys } from "./record-keys.ts";

const keys = new RecordKeys("leasehold");
const claims = new ClaimKeys("leasehold", "0123456789abcdef");

const anyName = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
});

test("two records never meet, for any strings, and the range of one holds its keys alone", () => {
  const related = fc
    .tuple(anyName, anyName)
    .chain(([a, b]) =>
      fc.constantFrom([a, b] as const, [a, a + b] as const, [`${a}/r`, a] as const, [`${a}/o`, a] as const),
    );
  fc.assert(
    fc.property(related, ([mine, theirs]) => {
      fc.pre(mine !== theirs);
      const { key, range_end } = keys.both(mine);
      const holds = (candidate: Buffer): boolean =>
        Buffer.compare(key, candidate) <= 0 && Buffer.compare(candidate, range_end) < 0;
      expect([keys.record(mine), keys.owner(mine)].map(holds)).toEqual([true, true]);
      expect([keys.record(theirs), keys.owner(theirs)].map(holds)).toEqual([false, false]);
      expect(keys.record(mine).equals(keys.owner(theirs))).toBe(false);
    }),
  );
});

test("an owner's key tells its record's, whatever the prefix; no other key tells anything", () => {
  fc.assert(
    fc.property(anyName, (name) => {
      for (const each of [keys, new RecordKeys("préfixe/ü")]) {
        expect(each.recordOf(each.owner(name).toString("latin1"))).toEqual(each.record(name));
        expect(each.recordOf(each.record(name).toString("latin1"))).toBe(undefined);
      }
      expect(keys.recordOf(claims.claim(name, 1, 1, 0).toString("latin1"))).toBe(undefined);
    }),
  );
  expect(keys.recordOf("leasehold/~fence/o")).toBe(undefined);
  expect(keys.recordOf("other/~idem/x/o")).toBe(undefined);
});

test("records are nobody's claims, and no resource's range reaches into them", () => {
  fc.assert(
    fc.property(anyName, anyName, (name, resource) => {
      for (const key of [keys.record(name), keys.owner(name)]) {
        expect(claims.parse(key)).toBe(undefined);
        const range = claims.resource(resource);
        expect(Buffer.compare(range.key, key) <= 0 && Buffer.compare(key, range.range_end) < 0).toBe(false);
      }
    }),
  );
  expect(encodeName("~idem")).not.toBe("~idem");
});
