import fc from "fast-check";
import { expect, test } from "vitest";
import { fenceKey, inboxChannel, recordKeys, resourceKeys, resourceOf } from "./keys.ts";

/**
 * What Redis Cluster takes for the slot: the text between the first `{` and the next `}`, if any.
 */
function hashTag(key: string): string {
  const open = key.indexOf("{");
  const close = key.indexOf("}", open + 1);
  return open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key;
}

const anyName = fc.string({ unit: "binary", maxLength: 12 });
const loneSurrogates = fc
  .array(fc.integer({ min: 0xd7f0, max: 0xe00f }), { maxLength: 6 })
  .map((units) => String.fromCharCode(...units));
const anyString = fc.oneof(
  anyName,
  loneSurrogates,
  fc.constantFrom("", "{}", "{a}", "}{", "a{b", "%", "%0000", "a:line"),
);

test("every name has its own keys, all in one slot, and is found again from them", () => {
  fc.assert(
    fc.property(anyString, anyString, (a, b) => {
      const keys = resourceKeys("leasehold", a);
      const all = [keys.base, keys.line, keys.expiry];
      expect(new Set(all).size).toBe(3);
      expect(new Set(all.map(hashTag)).size).toBe(1);
      for (const key of all) expect(key).toMatch(/^leasehold:\{[A-Za-z0-9._:%-]+\}/);
      expect(resourceOf(keys.base)).toBe(a);
      expect(resourceOf(`app {x}:${keys.base}`)).toBe(a);
      expect(resourceKeys("leasehold", b).base === keys.base).toBe(a === b);
      expect(resourceKeys("leasehold", b).changes === keys.changes).toBe(a === b);
      expect(keys.changes).toMatch(/^leasehold:changes:[A-Za-z0-9._:%-]+$/);
    }),
  );
});

test("a record has a key and a channel of its own, apart from those of the resource of its name, under any prefix", () => {
  const anyPrefix = fc.constantFrom("p", "p:idem", "p:changes", "p:{x}", "p:");
  fc.assert(
    fc.property(anyPrefix, anyString, anyPrefix, anyString, (p, a, q, b) => {
      const [record, other] = [recordKeys(p, a), recordKeys(q, b)];
      const isSame = p === q && a === b;
      expect([record.hash === other.hash, record.changes === other.changes]).toEqual([isSame, isSame]);
      expect(hashTag(record.hash)).toBe(hashTag(resourceKeys(p, a).base));
      const { base, line, expiry, changes } = resourceKeys(q, b);
      expect([base, line, expiry]).not.toContain(record.hash);
      // A channel is no key: only other channels can be mistaken for it.
      expect(record.changes).not.toBe(changes);
    }),
  );
  // Within what acl.txt allows.
  const keys = { hash: "leasehold:{a%0020b}:idem", changes: "leasehold:changes:{a%0020b}" };
  expect(recordKeys("leasehold", "a b")).toEqual(keys);
});

test("a prefix cannot move the hash tag", () => {
  const { base } = resourceKeys("team{1}", "x");
  expect(hashTag(base)).toBe("x");
  expect(inboxChannel("team{1} ", "ab")).toBe("team%007b1%007d%0020:inbox:ab");
});

test("a key that others wrote names no resource", () => {
  for (const key of [
    "",
    "x",
    "leasehold:{}",
    "leasehold:{a}:line",
    "leasehold:{a b}",
    "leasehold:{%00}",
    "leasehold:{%0061}",
  ])
    expect(resourceOf(key)).toBeUndefined();
});

test("a fence lies in the slot of its {tag}, and no two names share one", () => {
  expect(fenceKey("leasehold", "account:{42}")).toBe("leasehold:fence:account:{42}");
  expect(hashTag(fenceKey("p{1}", "a}b{user 7}c{d}"))).toBe("user 7");
  fc.assert(
    fc.property(anyString, anyString, (a, b) => {
      fc.pre(a.isWellFormed() && b.isWellFormed());
      expect(fenceKey("p", a) === fenceKey("p", b)).toBe(a === b);
      // Without a tag of its own a fence lies anywhere.
      const tag = hashTag(a) === a ? hashTag(fenceKey("p", a)) : hashTag(a);
      expect(hashTag(fenceKey("p", a))).toBe(tag);
    }),
  );
  expect(() => fenceKey("p", "a{\ud800}")).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});
