import { systemRandom, type Random } from "@leasehold/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { constantBackoff, exponentialBackoff, noBackoff, type Backoff, type Jitter } from "./backoff.ts";

const draws = 10_000;

/** mulberry32: the same draws in every run. A mean that is right today is right tomorrow. */
function seeded(seed: number): Random {
  let state = seed >>> 0;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { ...systemRandom, fraction };
}

interface Spread {
  readonly lowest: number;
  readonly highest: number;
  readonly mean: number;
}

function draw(backoff: Backoff, retry: number, previousMs: number, seed: number): Spread {
  const random = seeded(seed);
  let [lowest, highest, sum] = [Infinity, -Infinity, 0];
  for (let i = 0; i < draws; i++) {
    const delayMs = backoff({ retry, previousMs, random });
    lowest = Math.min(lowest, delayMs);
    highest = Math.max(highest, delayMs);
    sum += delayMs;
  }
  return { lowest, highest, mean: sum / draws };
}

const shapes = fc.record({
  initialMs: fc.integer({ min: 1, max: 5_000 }),
  growth: fc.integer({ min: 1, max: 1_000 }),
  factor: fc.double({ min: 1, max: 5, noNaN: true }),
  retry: fc.integer({ min: 1, max: 2_000 }),
  seed: fc.integer(),
});

/**
 * Five standard errors of the mean of a uniform distribution: a fair draw is outside once in two
 * million times.
 */
function tolerance(width: number): number {
  return (5 * width) / Math.sqrt(12 * draws) + 1e-9;
}

describe("10,000 draws of each formula are within its bounds, and have its mean", () => {
  const uniform: [Jitter, (plainMs: number) => [number, number]][] = [
    ["none", (plainMs) => [plainMs, plainMs]],
    ["full", (plainMs) => [0, plainMs]],
    ["equal", (plainMs) => [plainMs / 2, plainMs]],
  ];

  it.each(uniform)("%s", (jitter, boundsOf) => {
    fc.assert(
      fc.property(shapes, ({ initialMs, growth, factor, retry, seed }) => {
        const maxMs = initialMs * growth;
        const [low, high] = boundsOf(Math.min(maxMs, initialMs * factor ** (retry - 1)));
        const backoff = exponentialBackoff({ initialMs, maxMs, factor, jitter });
        const { lowest, highest, mean } = draw(backoff, retry, 0, seed);
        expect(lowest).toBeGreaterThanOrEqual(low);
        expect(highest).toBeLessThanOrEqual(high);
        expect(Math.abs(mean - (low + high) / 2)).toBeLessThanOrEqual(tolerance(high - low) + high * 1e-9);
      }),
      { numRuns: 40 },
    );
  });

  it("decorrelated", () => {
    fc.assert(
      fc.property(shapes, fc.double({ min: 0, max: 2, noNaN: true }), (shape, share) => {
        const { initialMs, growth, retry, seed } = shape;
        const maxMs = initialMs * growth;
        const previousMs = share * maxMs;
        const backoff = exponentialBackoff({ initialMs, maxMs, jitter: "decorrelated" });
        const { lowest, highest, mean } = draw(backoff, retry, previousMs, seed);
        const high = Math.max(initialMs, previousMs) * 3;
        expect(lowest).toBeGreaterThanOrEqual(initialMs);
        expect(highest).toBeLessThanOrEqual(Math.min(maxMs, high));
        // Uniform up to the cap, and the cap itself for all that is drawn above it.
        const below = Math.min(1, (maxMs - initialMs) / (high - initialMs));
        const expected = below * ((initialMs + Math.min(maxMs, high)) / 2) + (1 - below) * maxMs;
        expect(Math.abs(mean - expected)).toBeLessThanOrEqual(tolerance(high - initialMs));
      }),
      { numRuns: 40 },
    );
  });

  it("a chain of decorrelated waits starts at random(initialMs, 3 * initialMs) and never leaves its bounds", () => {
    const backoff = exponentialBackoff({ initialMs: 100, maxMs: 10_000, jitter: "decorrelated" });
    const random = seeded(7);
    for (let chain = 0; chain < draws / 10; chain++) {
      let previousMs = 0;
      for (let retry = 1; retry <= 10; retry++) {
        const delayMs = backoff({ retry, previousMs, random });
        expect(delayMs).toBeGreaterThanOrEqual(100);
        expect(delayMs).toBeLessThanOrEqual(Math.min(10_000, 3 * Math.max(100, previousMs)));
        previousMs = delayMs;
      }
    }
  });
});

it("none and constant", () => {
  const step = { retry: 9, previousMs: 5, random: systemRandom };
  expect(noBackoff()(step)).toBe(0);
  expect(constantBackoff(250)(step)).toBe(250);
});

it("refuses options out of bounds", () => {
  const refused: [() => unknown, RegExp][] = [
    [() => exponentialBackoff({ initialMs: 0 }), /initialMs must be a finite number above 0; got 0/],
    [() => exponentialBackoff({ initialMs: NaN }), /initialMs/],
    [
      () => exponentialBackoff({ initialMs: 200, maxMs: 100 }),
      /maxMs must be a finite number at least 200; got 100/,
    ],
    [() => exponentialBackoff({ maxMs: Infinity }), /maxMs/],
    [() => exponentialBackoff({ factor: 0.5 }), /factor must be a finite number at least 1; got 0.5/],
    [
      () => exponentialBackoff({ jitter: "half" as Jitter }),
      /jitter must be "none", "full", "equal" or "decorrelated"; got half/,
    ],
    [() => exponentialBackoff({ jitter: "decorrelated", factor: 2 }), /leave it out/],
    [() => exponentialBackoff(null as never), /options must be an object; got null/],
    [() => constantBackoff(-1), /delayMs must be a finite number at least 0; got -1/],
  ];
  for (const [make, message] of refused) expect(make).toThrow(message);
});
