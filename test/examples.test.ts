import { expect, test } from "vitest";
import { runNode } from "./run-node.ts";

// Each example is a program that ends by itself: nothing of the SDK may keep it alive once it has closed.
test.each([
  ["lock", ["mine until released; every write carries the token, a bigint", "released, total 99"]],
  ["try-lock", ["host-a: done", "host-b: host-a is at it already"]],
  ["fencing-in-process", ["refused: STALE_TOKEN the device still has 10"]],
  ["sql-fencing", ["refused: STALE_TOKEN the balance is 900"]],
])("examples/%s.ts runs and prints what it promises", async (name, lines) => {
  const { code, stdout, stderr } = await runNode(`examples/${name}.ts`);
  expect({ code, stderr, lines: stdout.trim().split("\n").sort() }).toEqual({ code: 0, stderr: "", lines });
});
