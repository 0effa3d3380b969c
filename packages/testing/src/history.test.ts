import { describe, expect, test } from "vitest";

import { checkFencedExclusion, checkTokenOrder, findOverlaps, jainIndex } from "./history.ts";

const accepted = (...tokens: number[]) => tokens.map((token) => ({ token: BigInt(token), accepted: true }));
const refused = (token: number) => ({ token: BigInt(token), accepted: false });
const point = (token: number, atNs: number) => ({ token: BigInt(token), atNs: BigInt(atNs) });

describe("checkFencedExclusion", () => {
  test("accepts a history whose accepted tokens never go back, refusals of stale ones included", () => {
    const report = checkFencedExclusion([...accepted(1, 1, 3), refused(1), ...accepted(3, 7)]);
    expect(report).toEqual({ accepted: 5, refused: 1, wronglyRefused: 0, violations: [] });
  });

  test("finds a stale write that was accepted, and goes on from the highest token", () => {
    const { violations } = checkFencedExclusion(accepted(1, 5, 1, 4, 5));
    expect(violations).toEqual([
      { index: 2, token: 1n, highest: 5n },
      { index: 3, token: 4n, highest: 5n },
    ]);
  });

  test("a refused attempt takes nothing, and one refused without cause is counted", () => {
    const report = checkFencedExclusion([...accepted(2), refused(9), ...accepted(2), refused(2)]);
    expect(report).toEqual({ accepted: 2, refused: 2, wronglyRefused: 2, violations: [] });
  });

  test("an empty history has nothing to say", () => {
    expect(checkFencedExclusion([])).toEqual({ accepted: 0, refused: 0, wronglyRefused: 0, violations: [] });
  });
});

describe("findOverlaps", () => {
  test("leases one after the other do not overlap, whatever order their points come in", () => {
    const report = findOverlaps([point(2, 30), point(1, 20), point(1, 10), point(2, 25), point(3, 40)]);
    expect(report).toEqual({ tokens: 3, overlaps: 0, longest: null });
  });

  test("a point of one lease between two points of another is an overlap, though it has no length", () => {
    const report = findOverlaps([point(1, 10), point(2, 15), point(1, 20)]);
    expect(report).toEqual({ tokens: 2, overlaps: 1, longest: { tokens: [1n, 2n], lengthNs: 0n } });
  });

  test("counts every pair, and tells the longest", () => {
    const report = findOverlaps([
      ...[point(1, 0), point(1, 100)],
      ...[point(2, 10), point(2, 20)],
      ...[point(3, 15), point(3, 95)],
    ]);
    expect(report).toEqual({ tokens: 3, overlaps: 3, longest: { tokens: [1n, 3n], lengthNs: 80n } });
  });

  test("two leases believed at the very same instant overlap", () => {
    expect(findOverlaps([point(1, 10), point(2, 10)]).overlaps).toBe(1);
  });
});

describe("checkTokenOrder", () => {
  test("strictly growing tokens are in order", () => {
    expect(checkTokenOrder([1n, 2n, 2n ** 60n])).toEqual([]);
  });

  test("finds a token granted twice and one that went back", () => {
    expect(checkTokenOrder([5n, 5n, 3n, 6n])).toEqual([
      { index: 1, token: 5n, highest: 5n },
      { index: 2, token: 3n, highest: 5n },
    ]);
  });
});

describe("jainIndex", () => {
  test.each([
    [[4, 4, 4, 4], 1],
    [[8, 0, 0, 0], 0.25],
    [[2, 1], 0.9],
  ])("of %j is %d", (shares, index) => {
    expect(jainIndex(shares)).toBeCloseTo(index, 12);
  });

  test("refuses a run in which nobody got anything", () => {
    expect(() => jainIndex([])).toThrow(RangeError);
    expect(() => jainIndex([0, 0])).toThrow(RangeError);
  });
});
