import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readWindow, type CallWindow } from "./call-window.ts";
import type { WindowOptions } from "./circuit-breaker.ts";

function windowOf(options: WindowOptions & { slowCallMs?: number }): CallWindow {
  return readWindow(options)();
}

/** Records so many calls. Returns the last trip. */
function record(window: CallWindow, calls: number, failed: boolean, nowMs = 0, slow = false): string | null {
  let trip: string | null = null;
  for (let i = 0; i < calls; i++) trip = window.record(failed, slow, nowMs);
  return trip;
}

describe("a consecutive window", () => {
  it("opens after so many failures in a row; a success starts the count again", () => {
    const window = windowOf({ window: { type: "consecutive", failures: 3 } });
    expect(record(window, 2, true)).toBe(null);
    expect(record(window, 1, false)).toBe(null);
    expect(record(window, 2, true)).toBe(null);
    expect(record(window, 1, true)).toBe("consecutive failures");
  });
});

describe("a count window", () => {
  const options: WindowOptions = { window: { type: "count", calls: 10 }, minimumCalls: 4 };

  it("believes no rate of fewer calls than minimumCalls", () => {
    const window = windowOf(options);
    expect(record(window, 3, true)).toBe(null);
    expect(record(window, 1, true)).toBe("failure rate");
  });

  it("remembers the last calls and no others", () => {
    const window = windowOf(options);
    record(window, 10, false);
    expect(record(window, 4, true)).toBe(null);
    // Two of the four leave by successes that push them out.
    record(window, 8, false);
    expect(record(window, 2, true)).toBe(null);
    expect(record(window, 3, true)).toBe("failure rate");
  });

  it("opens for slow calls that succeed", () => {
    const window = windowOf({ ...options, slowCallMs: 100, slowCallRateThreshold: 0.5 });
    record(window, 5, false);
    expect(record(window, 4, false, 0, true)).toBe(null);
    expect(record(window, 1, false, 0, true)).toBe("slow call rate");
  });

  it("takes a rate that meets the threshold exactly as met: 11 of 20 are 0.55", () => {
    const window = windowOf({ window: { type: "count", calls: 20 }, failureRateThreshold: 0.55 });
    record(window, 9, false);
    expect(record(window, 11, true)).toBe("failure rate");
  });

  it("is never opened by a call that is neither failed nor slow", () => {
    const window = windowOf({ ...options, minimumCalls: 10 });
    record(window, 9, true);
    expect(record(window, 1, false)).toBe(null);
    expect(record(window, 1, true)).toBe("failure rate");
  });
});

describe("a time window", () => {
  const options: WindowOptions = {
    window: { type: "time", durationMs: 10_000, buckets: 10 },
    minimumCalls: 4,
  };

  it("forgets after idle time, however long and whatever came before", () => {
    for (const idleMs of [10_000, 10_001, 60_000, 3_600_000, 1e12]) {
      const window = windowOf(options);
      record(window, 3, true, 500);
      expect(record(window, 3, true, 500 + idleMs)).toBe(null);
      expect(record(window, 1, true, 500 + idleMs)).toBe("failure rate");
    }
  });

  it("forgets bucket by bucket", () => {
    const window = windowOf(options);
    for (let second = 0; second < 4; second++) record(window, 1, second < 3, second * 1_000);
    // At 10 s the failure of the first second is gone, so two of four fail.
    expect(record(window, 1, false, 10_000)).toBe(null);
    expect(record(window, 1, true, 10_000)).toBe("failure rate");
    // At 12.5 s all three are.
    expect(record(window, 3, false, 12_500)).toBe(null);
    expect(record(window, 1, true, 12_500)).toBe(null);
  });

  it("has the default of 20 calls in 30 s, half of them failed", () => {
    const window = windowOf({});
    record(window, 10, false, 0);
    expect(record(window, 9, true, 29_000)).toBe(null);
    expect(record(window, 1, true, 29_000)).toBe("failure rate");
  });
});

/** What a window should say, by keeping every call. */
function believed(
  calls: { failed: boolean; slow: boolean }[],
  { minimum = 4, failures = 0.5, slow = 0.7 } = {},
) {
  const last = calls.at(-1)!;
  if (calls.length < minimum || !(last.failed || last.slow)) return null;
  const share = (which: "failed" | "slow"): number =>
    calls.filter((call) => call[which]).length / calls.length;
  if (share("failed") >= failures) return "failure rate";
  return share("slow") >= slow ? "slow call rate" : null;
}

const shape = { minimumCalls: 4, failureRateThreshold: 0.5, slowCallRateThreshold: 0.7, slowCallMs: 1 };
const results = fc.array(
  fc.record({
    failed: fc.boolean(),
    slow: fc.boolean(),
    // Mostly busy, sometimes idle for longer than the window, once in a while cleared.
    gapMs: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 5_000 }), fc.constant(1e9)),
    clear: fc.integer({ min: 0, max: 30 }).map((draw) => draw === 0),
  }),
  { maxLength: 100 },
);

it("a count window says what a list of its calls says", () => {
  fc.assert(
    fc.property(results, fc.integer({ min: 4, max: 12 }), (steps, calls) => {
      const window = windowOf({ ...shape, window: { type: "count", calls } });
      let kept: { failed: boolean; slow: boolean }[] = [];
      for (const { failed, slow, clear } of steps) {
        if (clear) window.clear();
        kept = [...(clear ? [] : kept), { failed, slow }].slice(-calls);
        expect(window.record(failed, slow, 0)).toBe(believed(kept));
      }
    }),
    { numRuns: 300 },
  );
});

it("a time window says what a list of its calls says, idle or busy", () => {
  fc.assert(
    fc.property(results, fc.integer({ min: 1, max: 7 }), (steps, buckets) => {
      const window = windowOf({ ...shape, window: { type: "time", durationMs: buckets * 250, buckets } });
      let kept: { failed: boolean; slow: boolean; bucket: number }[] = [];
      let nowMs = 0;
      for (const { failed, slow, gapMs, clear } of steps) {
        nowMs += gapMs;
        if (clear) window.clear();
        const bucket = Math.floor(nowMs / 250);
        const alive = (clear ? [] : kept).filter((call) => call.bucket > bucket - buckets);
        kept = [...alive, { failed, slow, bucket }];
        expect(window.record(failed, slow, nowMs)).toBe(believed(kept));
      }
    }),
    { numRuns: 300 },
  );
});

it("refuses options out of bounds", () => {
  const refused: [WindowOptions & { slowCallMs?: number }, RegExp][] = [
    [
      { window: { type: "sliding" } as never },
      /window.type must be "consecutive", "count" or "time"; got sliding/,
    ],
    [{ window: 5 as never }, /window must be an object; got 5/],
    [
      { window: { type: "consecutive", failures: 0 } },
      /window.failures must be a whole number at least 1; got 0/,
    ],
    [{ window: { type: "consecutive", failures: 5 }, minimumCalls: 3 }, /minimumCalls has no meaning/],
    [{ window: { type: "consecutive", failures: 5 }, slowCallMs: 3 }, /slowCallMs has no meaning/],
    [{ window: { type: "count", calls: 0.5 } }, /window.calls must be a whole number/],
    [
      { window: { type: "count", calls: 10 }, minimumCalls: 11 },
      /minimumCalls must be .* at most 10; got 11/,
    ],
    [{ window: { type: "time", durationMs: 0 } }, /window.durationMs must be a finite number above 0; got 0/],
    [{ window: { type: "time", durationMs: 5, buckets: 0 } }, /window.buckets/],
    [
      { failureRateThreshold: 0 },
      /failureRateThreshold must be a finite number above 0 and at most 1; got 0/,
    ],
    [{ failureRateThreshold: 50 }, /failureRateThreshold/],
    [{ slowCallMs: 5, slowCallRateThreshold: 1.1 }, /slowCallRateThreshold must be/],
    [{ slowCallRateThreshold: 0.5 }, /slowCallRateThreshold needs slowCallMs/],
  ];
  for (const [options, message] of refused) expect(() => readWindow(options)).toThrow(message);
});
