import { describe, expect, test } from "vitest";
import {
  decodeBeginning,
  decodeExtension,
  decodeFinish,
  decodeFlag,
  decodeLook,
  decodePush,
  decodeRenewals,
  decodeSnapshot,
  decodeStanding,
  decodeTicket,
} from "./decode-reply.ts";
import { maxBodyBytes } from "./record.ts";

const digits = "1795167323538395";
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
  test("each claim gets its own item", () => {
    const reply = ["h", "w 120", "x", "v", "e WRONGTYPE Operation"];
    expect(decodeRenewals(reply, ["a", "b", "c", "d", "e"])).toEqual([
      ["a", { kind: "renewed", granted: true, aheadMs: 0 }],
      ["b", { kind: "renewed", granted: false, aheadMs: 120 }],
      ["c", { kind: "gone" }],
      ["d", { kind: "evicted" }],
      ["e", { kind: "failed", error: new Error("WRONGTYPE Operation") }],
    ]);
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
    "%j for %i claims is refused whole: a wrong place would tell one claim the answer of another",
    (reply, count) => expect(decodeRenewals(reply, Array.from({ length: count }))).toBeUndefined(),
  );
});

test("a flag may come as a string: clients may be set to give numbers as strings", () => {
  expect([1, "1", 0, "0"].map(decodeFlag)).toEqual([true, true, false, false]);
  for (const reply of [2, "", true, null, "x", [1]]) expect(decodeFlag(reply)).toBeUndefined();
});

describe("a look", () => {
  const row = ["ab", "0000000000000007", "1", "l+", "12", "1"];
  const holder = { owner: "ab", ticket: 7n, weight: 1, value: "l+", sequence: 12, evicted: true };

  test("the whole, or what changed since a version", () => {
    expect(decodeLook(["w", "", "", ""])).toEqual({ whole: true, holders: [], gone: [], endsInMs: Infinity });
    expect(decodeLook(["c", "1795167323538395", "250", "x y", ...row])).toEqual({
      ...{ whole: false, version: "1795167323538395", endsInMs: 250 },
      ...{ holders: [holder], gone: ["x", "y"] },
    });
  });

  test.each([
    ["not a list", "w"],
    ["an empty list", []],
    ["a cut list", ["w", "", "", "", ...row.slice(1)]],
    ["an unknown kind", ["x", "", "", ""]],
    ["a version that is no number", ["w", "1:2", "", ""]],
    ["an end that is no number", ["w", "", "-5", ""]],
    ["a ticket that is no number", ["w", "", "", "", ...row.with(1, "x")]],
  ])("%s is nothing that the script says", (_, reply) => expect(decodeLook(reply)).toBeUndefined());
});

describe("snapshot", () => {
  const value = "value\u0000 with anything";
  const row = ["h", "ab", "0000000000000007", "1", value, "12", "1", "250"];
  const view = { owner: "ab", ticket: 7n, weight: 1, value, sequence: 12, evicted: true, remainingMs: 250 };

  test("holders and waiters, apart", () => {
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

test("a push tells ticket, resource and owner; anything else is dropped", () => {
  expect(decodePush("0000000000000007 leasehold:{a%0020b} 0123")).toEqual({
    ticket: 7n,
    resource: "a b",
    owner: "0123",
  });
  expect(decodePush("7 my app:leasehold:{x} 0123")).toEqual({ ticket: 7n, resource: "x", owner: "0123" });
  for (const message of [
    "",
    "7",
    "7 leasehold:{x}",
    "7 leasehold:{x} ",
    "x leasehold:{x} 0123",
    "-7 leasehold:{x} 01",
    "7 x 01",
  ])
    expect(decodePush(message)).toBeUndefined();
});

const execution = { token: ticket, attempt: 2 };

describe("begin", () => {
  test.each([
    [`b ${digits} 2`, { kind: "begun", ...execution }],
    ["i 498", { kind: "in-progress", remainingMs: 498 }],
    ["i 0", { kind: "in-progress", remainingMs: 0 }],
    ["x 3", { kind: "expired", attempt: 3 }],
    ["m", { kind: "mismatch" }],
    [`c ${digits} 2`, { kind: "finished", outcome: "completed", body: null, ...execution }],
    [`f ${digits} 2`, { kind: "finished", outcome: "failed", body: null, ...execution }],
    [[`c ${digits} 2`, ""], { kind: "finished", outcome: "completed", body: "", ...execution }],
    [[`f ${digits} 2`, "c 1 1"], { kind: "finished", outcome: "failed", body: "c 1 1", ...execution }],
  ])("%j", (reply, beginning) => expect(decodeBeginning(reply)).toEqual(beginning));

  test.each([
    undefined,
    null,
    1,
    {},
    "",
    "b",
    "b 1",
    "b 1 2 3",
    "b x 1",
    "b 1 x",
    "b 1 0",
    "b 1 -1",
    "b 1.7951673235384e+15 1",
    "b 12345678901234567 1",
    "i",
    "i -5",
    "i 1 2",
    "i 1e3",
    "x",
    "x 0",
    "x 1 2",
    "m 1",
    "c",
    "c 1",
    "c 1 2 3",
    "r 1 1",
    "__proto__ 1 1",
    "constructor 1 1",
    "OK",
    "B 1 1",
    [],
    ["m"],
    ["c 1 1"],
    ["c 1 1", null],
    ["c 1 1", 5],
    ["c 1 1", "body", "more"],
    ["b 1 1", "body"],
    ["x 1", "body"],
    ["__proto__ 1 1", "body"],
    [["c 1 1"], "body"],
  ])("%j is nothing that a script says", (reply) => expect(decodeBeginning(reply)).toBeUndefined());

  test("a body beyond the bound is none of ours, counted in bytes", () => {
    const longest = "é".repeat(maxBodyBytes / 2);
    expect(decodeBeginning(["c 1 1", longest])).toMatchObject({ kind: "finished" });
    expect(decodeBeginning(["c 1 1", `${longest}.`])).toBeUndefined();
  });
});

test("extending and finishing answer one of three words", () => {
  expect(["extended", "fenced", "missing"].map(decodeExtension)).toEqual(["extended", "fenced", "missing"]);
  expect(["done", "fenced", "missing"].map(decodeFinish)).toEqual(["done", "fenced", "missing"]);
  for (const reply of ["", "e", "OK", 1, null, undefined, ["done"], "toString"]) {
    expect(decodeExtension(reply)).toBeUndefined();
    expect(decodeFinish(reply)).toBeUndefined();
  }
  expect(decodeExtension("done")).toBeUndefined();
  expect(decodeFinish("extended")).toBeUndefined();
});
