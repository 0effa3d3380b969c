import { SimClock } from "@leasehold/testing";
import fc from "fast-check";
import { beforeEach, expect, it } from "vitest";

import { retryBudget, type RetryBudget } from "./retry-budget.ts";

let clock: SimClock;

beforeEach(() => {
  clock = new SimClock();
});

/** How many retries it allows now. */
function drain(budget: RetryBudget): number {
  let withdrawn = 0;
  while (budget.withdraw()) withdrawn += 1;
  return withdrawn;
}

it("starts full, takes one token per retry, and then refuses", () => {
  const budget = retryBudget({ ratio: 0.5, minPerSecond: 0, maxTokens: 3, clock });
  expect(drain(budget)).toBe(3);
  expect(budget.tokens).toBe(0);
});

it("grows with calls: ten deposits of a tenth are one retry, and rounding loses none", () => {
  const budget = retryBudget({ ratio: 0.1, minPerSecond: 0, maxTokens: 50, clock });
  drain(budget);
  for (let calls = 0; calls < 9; calls++) budget.deposit();
  expect(budget.withdraw()).toBe(false);
  budget.deposit();
  expect(drain(budget)).toBe(1);
  for (let calls = 0; calls < 100; calls++) budget.deposit();
  expect(drain(budget)).toBe(10);
});

it("has a floor per second, however few calls there are", async () => {
  const budget = retryBudget({ ratio: 0, minPerSecond: 2, maxTokens: 10, clock });
  drain(budget);
  await clock.advance(499);
  expect(drain(budget)).toBe(0);
  await clock.advance(1);
  expect(drain(budget)).toBe(1);
  await clock.advance(3_000);
  expect(drain(budget)).toBe(6);
});

it("never exceeds maxTokens, by calls or by time", async () => {
  const budget = retryBudget({ ratio: 1, minPerSecond: 1, maxTokens: 4, clock });
  for (let calls = 0; calls < 1_000; calls++) budget.deposit();
  await clock.advance(3_600_000);
  expect(budget.tokens).toBe(4);
  expect(drain(budget)).toBe(4);
});

it("allows at most maxTokens + ratio * calls + minPerSecond * seconds retries, and no fewer than earned", async () => {
  const step = fc.oneof(
    fc.record({ calls: fc.integer({ min: 1, max: 50 }) }),
    fc.record({ ms: fc.integer({ min: 1, max: 2_000 }) }),
    fc.record({ retries: fc.integer({ min: 1, max: 20 }) }),
  );
  const options = fc.record({
    ratio: fc.double({ min: 0.01, max: 2, noNaN: true }),
    minPerSecond: fc.integer({ min: 0, max: 20 }),
    maxTokens: fc.integer({ min: 1, max: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(options, fc.array(step, { maxLength: 40 }), async (shape, steps) => {
      const sim = new SimClock();
      const budget = retryBudget({ ...shape, clock: sim });
      let [allowance, tokens, withdrawn] = [shape.maxTokens, shape.maxTokens, 0];
      const earn = (amount: number): void => {
        allowance += amount;
        tokens = Math.min(shape.maxTokens, tokens + amount);
      };
      for (const what of steps) {
        if ("ms" in what) {
          await sim.advance(what.ms);
          earn((what.ms / 1_000) * shape.minPerSecond);
        } else if ("calls" in what) {
          for (let i = 0; i < what.calls; i++) {
            budget.deposit();
            earn(shape.ratio);
          }
        } else {
          for (let i = 0; i < what.retries && budget.withdraw(); i++) {
            withdrawn += 1;
            tokens -= 1;
          }
        }
        expect(withdrawn).toBeLessThanOrEqual(allowance + 1e-6);
        expect(Math.abs(budget.tokens - tokens)).toBeLessThan(1e-6);
      }
    }),
    { numRuns: 100 },
  );
});

it("refuses options out of bounds", () => {
  expect(() => retryBudget({ ratio: -1 })).toThrow("ratio must be a finite number at least 0");
  expect(() => retryBudget({ minPerSecond: NaN })).toThrow("minPerSecond must be");
  expect(() => retryBudget({ maxTokens: 0 })).toThrow("maxTokens must be a finite number at least 1; got 0");
  expect(() => retryBudget({ ratio: 0, minPerSecond: 0 })).toThrow("never allow a retry again");
});
