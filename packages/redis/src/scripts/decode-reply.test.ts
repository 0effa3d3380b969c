import { describe, expect, test } from "vitest";
import { decodeFlag, decodeRenewals, decodeSnapshot, decodeStanding, decodeTicket } from "./decode-reply.ts";

const ticket = 1795167323538395n;

describe("standing", () => {
  test.each([
    ["g 1795167323538395", { kind: "granted", ticket, isProof: true }],
    ["g 1795167323538395 !", { kind: "granted", ticket, isProof: false }],
    ["q 1795167323538395 498", { kind: "queued", ticket, aheadMs: 498, isProof: true }],
    ["q 1795167323538395 498 !", { kind: "queued", ticket, aheadMs: 498, isProof: false }],
    ["r held", { kind: "refused", reason: "held" }],
    ["r full", { kind: "refused", reason: "full" }],
    ["r departed", { kind: "refused", reason: "departed" }],
    ["r shape 2147483647", { kind: "refused", reason: "shape", capacity: 2147483647 }],
  ])("%s", (reply, standing) => expect(decodeStanding(reply)).toEqual(standing));

  test.each([
    undefined,
    null,
    1,
    1795167323538395,
    [],
    ["g", "1"],
    "",
    "g",
    "g ",
    "g -1",
    "g 1e3",
    "g 1.7951673235384e+15",
    "g 12345678901234567",
    "g 1 2",
    "q 1",
    "q 1 -5",
    "q 1 2 3",
    "q x 5",
    "r",
    "r shape",
    "r shape x",
    "r held 1",
    "r constructor",
    "OK",
    "G 1",
  ])("%j is nothing that a script says", (reply) => expect(decodeStanding(reply)).toBeUndefined());
});

describe("renewals", () => {
  test("each in its place", () => {
    const items = decodeRenewals(["h", "w 120", "x", "v", "e WRONGTYPE Operation"], 5);
    expect(items?.map(({ kind }) => kind)).toEqual(["renewed", "renewed", "gone", "evicted", "failed"]);
    expect(items?.[0]).toMatchObject({ granted: true, aheadMs: 0 });
    expect(items?.[1]).toMatchObject({ granted: false, aheadMs: 120 });
  });

  test.each([
    [["h"], 2],
    [["h", "h"], 1],
    [["h", null], 2],
    [["w"], 1],
    [["w x"], 1],
    [["hh"], 1],
    ["h", 1],
    [{ 0: "h" }, 1],
  ])(
    "%j for %i claims is refused whole: a wrong place would tell one claim another's answer",
    (reply, count) => expect(decodeRenewals(reply, count)).toBeUndefined(),
  );
});

test("a flag may come as a string, from a client set to give numbers so", () => {
  expect([1, "1", 0, "0"].map(decodeFlag)).toEqual([true, true, false, false]);
  for (const reply of [2, "", true, null, "x", [1]]) expect(decodeFlag(reply)).toBeUndefined();
});

describe("snapshot", () => {
  const value = "value\u0000 with anything";
  const row = ["h", "ab", "0000000000000007", "1", value, "12", "1", "250"];
  const view = { owner: "ab", ticket: 7n, weight: 1, value, sequence: 12, evicted: true, remainingMs: 250 };

  test("holders and line", () => {
    expect(decodeSnapshot([...row, ...row.with(0, "w").with(6, "0")])).toEqual({
      holders: [view],
      line: [{ ...view, evicted: false }],
    });
    expect(decodeSnapshot([])).toEqual({ holders: [], line: [] });
  });

  test.each([
    ["not a list", "h"],
    ["a cut list", row.slice(1)],
    ["an unknown standing", row.with(0, "z")],
    ["a ticket that is no number", row.with(2, "-1")],
    ["a weight that is no number", row.with(3, "one")],
    ["a sequence that is no number", row.with(5, "-1")],
    ["a mark that is none", row.with(6, "!")],
    ["a time that is no number", row.with(7, "1e9")],
    ["a number for a value", (row as unknown[]).with(4, 5)],
  ])("%s", (_, reply) => expect(decodeSnapshot(reply)).toBeUndefined());
});

test("a ticket above 2^53 keeps its last digit", () => {
  expect(decodeTicket("9007199254740993")).toBe(9007199254740993n);
  expect(decodeTicket(9007199254740992)).toBeUndefined();
});
