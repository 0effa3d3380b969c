import fc from "fast-check";
import { expect, it } from "vitest";

import { decodeOrder, encodeOrder } from "./order.ts";

it("an order is read back as it was given", () => {
  expect(decodeOrder(encodeOrder({ kind: "reset" }))).toEqual({ kind: "reset" });
  const isolate = { kind: "isolate", reason: "maintenance until 6" } as const;
  expect(decodeOrder(encodeOrder(isolate))).toEqual(isolate);
});

it("a reason is one short line, whoever wrote it", () => {
  const hostile = JSON.stringify({ v: 1, order: "isolate", reason: `\u001b[31m\n${"x".repeat(4_000)}` });
  const order = decodeOrder(hostile);
  expect(order).toEqual({ kind: "isolate", reason: expect.stringMatching(/^ \[31m x+…$/) });
  expect(order?.kind === "isolate" && order.reason).toHaveLength(200);
});

it("what is no order is null", () => {
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
