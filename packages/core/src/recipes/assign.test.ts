import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assign } from "./assign.ts";

const names = (options: { minLength?: number; maxLength?: number } = {}): fc.Arbitrary<string[]> =>
  fc.uniqueArray(fc.string({ unit: "binary", maxLength: 12 }), options);
const members = names({ minLength: 1, maxLength: 8 });
const keys = names({ maxLength: 60 });

/** Who has a key. */
function owners(shares: ReadonlyMap<string, readonly string[]>): Map<string, string> {
  return new Map([...shares].flatMap(([member, share]) => share.map((key) => [key, member] as const)));
}

describe("assign", () => {
  it("gives every key to exactly one member, and every member a share, in the order of the keys", () => {
    fc.assert(
      fc.property(members, keys, (all, work) => {
        const shares = assign(all, work);
        expect([...shares.keys()]).toEqual(all);
        expect([...shares.values()].flat().toSorted()).toEqual(work.toSorted());
        for (const share of shares.values()) expect(share).toEqual(work.filter((key) => share.includes(key)));
      }),
    );
  });

  it("does not depend on the order of members or keys, nor on one who is named twice", () => {
    fc.assert(
      fc.property(members, keys, fc.nat(), (all, work, seed) => {
        const turn = seed % all.length;
        const otherwise = [...all.slice(turn), ...all.slice(0, turn), ...all.slice(0, 1)];
        const before = owners(assign(all, work));
        expect(owners(assign(otherwise, work.toReversed()))).toEqual(before);
      }),
    );
  });

  it("moves only the keys that a new member takes, and only those of one that goes", () => {
    fc.assert(
      fc.property(names({ minLength: 2, maxLength: 8 }), keys, ([newcomer = "", ...others], work) => {
        const [without, including] = [
          owners(assign(others, work)),
          owners(assign([newcomer, ...others], work)),
        ];
        const moved = [...including].filter(([key, owner]) => owner !== without.get(key));
        expect(moved.filter(([, owner]) => owner !== newcomer)).toEqual([]);
      }),
    );
  });

  it("shares out roughly evenly, also among members with like names", () => {
    const work = Array.from({ length: 4_000 }, (_, index) => `shard-${index}`);
    for (const count of [2, 3, 10, 30]) {
      const all = Array.from({ length: count }, (_, index) => `10.0.0.${index}:9000`);
      const even = work.length / count;
      // Shares of a fair die: six standard deviations are beyond any luck, and these names are always the same.
      const bound = 6 * Math.sqrt(even * (1 - 1 / count));
      for (const share of assign(all, work).values())
        expect(Math.abs(share.length - even), `${share.length} of ${even}`).toBeLessThan(bound);
    }
  });

  it("shares nothing out when nobody is there", () => {
    expect(assign([], ["a", "b"])).toEqual(new Map());
  });

  it("is the same in every version: a fleet of two versions must agree", () => {
    const work = Array.from({ length: 12 }, (_, index) => `shard-${index}`);
    const shares = assign(["host-1", "host-2", "host-3"], work);
    const numbers = [...shares.values()].map((share) => share.map((key) => Number(key.slice(6))));
    // Computed by another program: the highest SHA-256 of "<length>:<member><key>".
    expect(numbers).toEqual([[0, 2, 5, 6, 7, 9, 10, 11], [1, 4, 8], [3]]);
  });
});
