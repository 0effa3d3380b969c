import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  decodeOrder,
  decodeProclamation,
  encodeOrder,
  encodeProclamation,
  longestOpenMs,
  type Proclamation,
} from "./messages.ts";

const open: Proclamation = {
  state: "open",
  sequence: 3,
  openMs: 10_000,
  restMs: 2_500.5,
  attempt: 2,
  reason: "2 of 5 nodes",
};

describe("a proclamation", () => {
  it("is read back as it was written", () => {
    for (const state of ["closed", "open", "half-open"] as const)
      expect(decodeProclamation(encodeProclamation({ ...open, state }))).toEqual({ ...open, state });
  });

  it("fits a claim's value, whatever the reason", () => {
    const text = encodeProclamation({ ...open, reason: "\u0000🙂".repeat(10_000) });
    expect(Buffer.byteLength(text)).toBeLessThan(1_500);
    expect(decodeProclamation(text)).toMatchObject({ reason: expect.stringMatching(/^( 🙂){66} …$/u) });
  });

  it("is null when it is anything else, and never an error", () => {
    const wrong: object[] = [
      { ...open, v: 2 },
      { ...open, state: "isolated" },
      { ...open, state: "__proto__" },
      { ...open, sequence: -1 },
      { ...open, sequence: 1.5 },
      { ...open, sequence: "3" },
      { ...open, attempt: 2 ** 53 },
      { ...open, openMs: -1 },
      { ...open, openMs: "Infinity" },
      { ...open, restMs: longestOpenMs + 1 },
      { ...open, restMs: null },
      { ...open, reason: 7 },
      { ...open, reason: undefined },
      [open],
    ];
    for (const value of wrong) expect(decodeProclamation(JSON.stringify({ v: 1, ...value }))).toBe(null);
    const texts = [
      "",
      "null",
      "[]",
      "7",
      '"open"',
      "{",
      '{"v":1,"state":"open"}',
      "[".repeat(4_000),
      "\u0000",
    ];
    for (const text of texts) expect(decodeProclamation(text)).toBe(null);
    fc.assert(fc.property(fc.string(), (text) => decodeProclamation(text) === null));
    fc.assert(
      fc.property(fc.json(), (text) => {
        const word = decodeProclamation(text);
        return word === null || ["closed", "open", "half-open"].includes(word.state);
      }),
    );
  });

  it("takes no prototype, and no more than it knows, from what it reads", () => {
    const text = encodeProclamation(open).replace("{", '{"__proto__":{"polluted":1},"extra":true,');
    expect(decodeProclamation(text)).toEqual(open);
    expect(({} as Record<string, unknown>)["polluted"]).toBe(undefined);
  });
});

describe("an order", () => {
  it("is read back as it was given", () => {
    expect(decodeOrder(encodeOrder({ kind: "reset" }))).toEqual({ kind: "reset" });
    const isolate = { kind: "isolate", reason: "maintenance until 6" } as const;
    expect(decodeOrder(encodeOrder(isolate))).toEqual(isolate);
  });

  it("has a reason of one short line, whoever wrote it", () => {
    const hostile = JSON.stringify({ v: 1, order: "isolate", reason: `\u001b[31m\n${"x".repeat(4_000)}` });
    const order = decodeOrder(hostile);
    expect(order).toEqual({ kind: "isolate", reason: expect.stringMatching(/^ \[31m x+…$/) });
    expect(order?.kind === "isolate" && order.reason).toHaveLength(200);
  });

  it("is null when it is anything else", () => {
    for (const text of [
      "",
      "{}",
      '{"v":1,"order":"open"}',
      '{"v":2,"order":"reset"}',
      '{"v":1,"order":"isolate"}',
    ])
      expect(decodeOrder(text)).toBe(null);
    fc.assert(fc.property(fc.string(), (text) => decodeOrder(text) === null));
  });
});
