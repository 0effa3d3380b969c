import { describe, expect, test } from "vitest";
import { decodeBeginning, decodeExtension, decodeFinish } from "./decode-idempotency-reply.ts";
import { maxBodyBytes } from "./record.ts";

const digits = "1795167323538395";
const token = 1795167323538395n;
const execution = { token, attempt: 2 };

describe("beginning", () => {
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
