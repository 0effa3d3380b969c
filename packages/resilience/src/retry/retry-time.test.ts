import { getEventListeners } from "node:events";
import { systemRandom, type Clock, type Random } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import fc from "fast-check";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { constantBackoff, exponentialBackoff } from "./backoff.ts";
import { retryBudget } from "./retry-budget.ts";
import { retryOutcome } from "./retry-outcome.ts";
import type { RetryContext } from "./call-limits.ts";
import { retry } from "./retry.ts";

let clock: SimClock;

beforeEach(() => {
  clock = new SimClock();
});

const nowMs = (): number => clock.now().monoMs;

/** Work that fails after this time. It may ignore its signal. */
function slow(ms: number, error: unknown = new Error("slow failure")): () => Promise<never> {
  return () => new Promise((_, reject) => clock.schedule(ms, () => reject(error as Error)));
}

/** Never ends by itself, and ends at once when its signal aborts. */
function obedient({ signal }: RetryContext): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
}

/** Never ends. */
const stubborn = (): Promise<never> => new Promise(() => undefined);

async function rejection(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => expect.unreachable("it should have failed"),
    (error: unknown) => error,
  );
}

describe("an abort", () => {
  it("ends a backoff at once, with its reason; nothing is called again, and no timer and no listener is left", async () => {
    const aborter = new AbortController();
    const fn = vi.fn<() => Promise<never>>(() => Promise.reject(new Error("x")));
    const call = rejection(retry({ backoff: constantBackoff(1_000), clock }).execute(fn, aborter.signal));
    await clock.advance(100);
    expect(clock.pending).toBe(1);
    const reason = new Error("the user left");
    aborter.abort(reason);
    expect(await call).toBe(reason);
    expect(nowMs()).toBe(100);
    expect(clock.pending).toBe(0);
    expect(getEventListeners(aborter.signal, "abort")).toEqual([]);
    await clock.advance(10_000);
    expect(fn).toHaveBeenCalledTimes(1);
    expect(retryOutcome(reason)).toEqual({ attempts: 1, reason: "aborted" });
  });

  it("before the call: nothing is called", async () => {
    const fn = vi.fn<() => void>();
    const reason = new Error("too late");
    expect(await rejection(retry({ clock }).execute(fn, AbortSignal.abort(reason)))).toBe(reason);
    expect(fn).not.toHaveBeenCalled();
  });

  it("during an attempt reaches the work, and an error of the work is not retried", async () => {
    const aborter = new AbortController();
    const fn = vi.fn<typeof obedient>(obedient);
    const call = rejection(retry({ clock, attemptTimeoutMs: 5_000 }).execute(fn, aborter.signal));
    const reason = new Error("stop");
    aborter.abort(reason);
    expect(await call).toBe(reason);
    expect(fn).toHaveBeenCalledTimes(1);
    expect([clock.pending, getEventListeners(aborter.signal, "abort")]).toEqual([0, []]);
  });

  it("during an attempt: the call rejects with the work's own error, and the budget pays no retry", async () => {
    const aborter = new AbortController();
    const budget = retryBudget({ ratio: 0, minPerSecond: 1e-9, maxTokens: 5, clock });
    const error = new Error("rolled back");
    const call = retry({ clock, budget }).execute(() => {
      aborter.abort(new Error("stop"));
      throw error;
    }, aborter.signal);
    expect(await rejection(call)).toBe(error);
    expect(retryOutcome(error)).toEqual({ attempts: 1, reason: "aborted" });
    expect(budget.tokens).toBe(5);
  });

  it("during an attempt that succeeds all the same changes nothing", async () => {
    const aborter = new AbortController();
    const call = retry({ clock }).execute(async () => {
      aborter.abort(new Error("stop"));
      return "charged";
    }, aborter.signal);
    expect(await call).toBe("charged");
  });

  it("that the work ignores until its time limit is still an abort", async () => {
    const aborter = new AbortController();
    const fn = vi.fn<typeof stubborn>(stubborn);
    const call = rejection(retry({ clock, attemptTimeoutMs: 5_000 }).execute(fn, aborter.signal));
    const reason = new Error("stop");
    aborter.abort(reason);
    await clock.advance(5_000);
    expect(await call).toBe(reason);
    expect(fn).toHaveBeenCalledTimes(1);
    expect(clock.pending).toBe(0);
  });

  it("a primitive reason is passed on as it is", async () => {
    const aborter = new AbortController();
    const call = rejection(retry({ clock }).execute(() => Promise.reject(new Error("x")), aborter.signal));
    await clock.advance(0);
    aborter.abort("enough");
    expect(await call).toBe("enough");
  });
});

describe("the time of an attempt", () => {
  it("aborts its signal, and the retry goes on at once although the work ignores it", async () => {
    const signals: AbortSignal[] = [];
    const settings = { clock, attemptTimeoutMs: 300, maxRetries: 1, backoff: constantBackoff(50) };
    const call = rejection(
      retry(settings).execute(({ signal }) => {
        signals.push(signal);
        return stubborn();
      }),
    );
    await clock.advance(299);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await clock.advance(51);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(signals[0]?.reason).toMatchObject({ name: "TimeoutError", limit: "attempt", afterMs: 300 });
    await clock.advance(300);
    const error = await call;
    expect(error).toBe(signals[1]?.reason);
    expect(retryOutcome(error)).toEqual({ attempts: 2, reason: "exhausted" });
    expect(clock.pending).toBe(0);
  });

  it("is no abort: what the work rejects with when its signal aborts does not count", async () => {
    let calls = 0;
    const call = retry({ clock, attemptTimeoutMs: 300, backoff: constantBackoff(1) }).execute((context) =>
      (calls += 1) < 3 ? obedient(context) : "back",
    );
    await clock.advance(1_000);
    expect(await call).toBe("back");
  });

  it("leaves no timer and no listener when the attempt ended in time", async () => {
    const { signal } = new AbortController();
    expect(await retry({ clock, attemptTimeoutMs: 300 }).execute(() => "done", signal)).toBe("done");
    expect([clock.pending, getEventListeners(signal, "abort")]).toEqual([0, []]);
  });

  it("keeps the process alive while a caller waits, as a backoff does", async () => {
    const kept: unknown[] = [];
    const watched: Clock = {
      now: () => clock.now(),
      schedule: (delayMs, callback, options) => {
        kept.push([delayMs, options?.keepAlive]);
        return clock.schedule(delayMs, callback);
      },
    };
    const policy = retry({
      clock: watched,
      attemptTimeoutMs: 300,
      maxRetries: 1,
      backoff: constantBackoff(50),
    });
    const call = rejection(policy.execute(() => Promise.reject(new Error("x"))));
    await clock.advance(1_000);
    await call;
    expect(kept).toEqual([
      [300, true],
      [50, true],
      [300, true],
    ]);
  });

  it("says what is left, also when it is read later", async () => {
    const seen: number[] = [];
    const call = retry({
      clock,
      attemptTimeoutMs: 300,
      deadlineMs: 400,
      backoff: constantBackoff(50),
    }).execute(async (context) => {
      seen.push(context.remainingMs);
      await slow(100)().catch(() => undefined);
      seen.push(context.remainingMs);
      throw new Error("x");
    });
    const failed = rejection(call);
    await clock.advance(1_000);
    await failed;
    // Attempts at 0 to 100, 150 to 250, 300 to 400: the last one has what the deadline leaves.
    expect(seen).toEqual([300, 200, 250, 150, 100, 0]);
  });
});

describe("the deadline", () => {
  it("ends the running attempt with an error that says so", async () => {
    const call = rejection(retry({ clock, deadlineMs: 1_000 }).execute(stubborn));
    await clock.advance(1_000);
    const error = await call;
    expect(error).toMatchObject({ name: "TimeoutError", limit: "deadline", afterMs: 1_000 });
    expect(retryOutcome(error)).toEqual({ attempts: 1, reason: "deadline" });
    expect(nowMs()).toBe(1_000);
  });

  it("has ended an attempt whose own time was over at the same moment", async () => {
    const call = rejection(retry({ clock, deadlineMs: 300, attemptTimeoutMs: 300 }).execute(stubborn));
    await clock.advance(300);
    expect(await call).toMatchObject({ limit: "deadline" });
  });

  it("has passed when its timer fires, even if the clock is a fraction of a millisecond behind", async () => {
    const hasty: Clock = {
      now: () => clock.now(),
      schedule: (delayMs, callback) => clock.schedule(delayMs - 0.4, callback),
    };
    const fn = vi.fn<typeof stubborn>(stubborn);
    const policy = retry({ clock: hasty, deadlineMs: 1_000, backoff: constantBackoff(0.1) });
    const call = rejection(policy.execute(fn));
    await clock.advance(2_000);
    expect(await call).toMatchObject({ limit: "deadline", afterMs: 1_000 });
    expect(fn).toHaveBeenCalledTimes(1);
  });

  it("no wait begins that would reach it: the call rejects at once", async () => {
    const error = new Error("x");
    const fn = vi.fn<() => Promise<never>>(slow(100, error));
    const call = rejection(retry({ clock, deadlineMs: 1_000, backoff: constantBackoff(900) }).execute(fn));
    await clock.advance(100);
    expect(await call).toBe(error);
    expect([nowMs(), clock.pending]).toEqual([100, 0]);
    expect(retryOutcome(error)).toEqual({ attempts: 1, reason: "deadline" });
  });

  it("a process that woke late does not begin another attempt", async () => {
    const error = new Error("x");
    const fn = vi.fn<() => Promise<never>>(() => Promise.reject(error));
    const call = rejection(retry({ clock, deadlineMs: 1_000, backoff: constantBackoff(500) }).execute(fn));
    await clock.advance(0);
    clock.block(2_000);
    await clock.advance(0);
    expect(await call).toBe(error);
    expect(fn).toHaveBeenCalledTimes(1);
    expect(retryOutcome(error)).toEqual({ attempts: 1, reason: "deadline" });
  });

  it("of a single call counts if it is the earlier one; after it no attempt begins", async () => {
    const both = retry({ clock, deadlineMs: 1_000 });
    const inMs = (ms: number): { deadline: number } => ({ deadline: clock.now().wallMs + ms });
    const early = rejection(both.execute(stubborn, undefined, inMs(300)));
    const late = rejection(both.execute(stubborn, undefined, inMs(5_000)));
    await clock.advance(300);
    expect(await early).toMatchObject({ limit: "deadline", afterMs: 300 });
    await clock.advance(700);
    expect(await late).toMatchObject({ limit: "deadline", afterMs: 1_000 });
    const fn = vi.fn<() => void>();
    const error = await rejection(both.execute(fn, undefined, inMs(-1)));
    expect(error).toMatchObject({
      name: "TimeoutError",
      message: expect.stringContaining("nothing was sent"),
    });
    expect(retryOutcome(error)).toEqual({ attempts: 0, reason: "deadline" });
    expect(fn).not.toHaveBeenCalled();
  });

  it("is not moved by a wall clock that is stepped", async () => {
    const call = rejection(retry({ clock, deadlineMs: 1_000 }).execute(stubborn));
    clock.stepWall(-3_600_000);
    await clock.advance(999);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    expect(await call).toMatchObject({ limit: "deadline" });
  });

  it("is never passed, whatever the work does, and leaves nothing behind", async () => {
    const shape = fc.record({
      deadlineMs: fc.integer({ min: 1, max: 5_000 }),
      attemptTimeoutMs: fc.option(fc.integer({ min: 1, max: 2_000 }), { nil: undefined }),
      backoffMs: fc.integer({ min: 1, max: 1_000 }),
      jitter: fc.constantFrom("none" as const, "full" as const, "equal" as const),
      draw: fc.double({ min: 0, max: 0.999, noNaN: true }),
      wishMs: fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: undefined }),
      works: fc.array(
        fc.record({
          // Time passes with every attempt. If neither the work nor the wait took any, a clock that
          // stands still would see retries for ever.
          ms: fc.integer({ min: 5, max: 3_000 }),
          how: fc.constantFrom("fails", "obeys", "never", "succeeds"),
        }),
        { minLength: 1, maxLength: 8 },
      ),
    });
    await fc.assert(
      fc.asyncProperty(
        shape,
        async ({ deadlineMs, attemptTimeoutMs, backoffMs, jitter, draw, wishMs, works }) => {
          clock = new SimClock();
          const random: Random = { ...systemRandom, fraction: () => draw };
          const begun: number[] = [];
          const remaining: [number, number][] = [];
          const call = retry({
            clock,
            random,
            deadlineMs,
            attemptTimeoutMs,
            maxRetries: Infinity,
            backoff: exponentialBackoff({ initialMs: backoffMs, jitter }),
            retryAfter: () => wishMs,
          }).execute((context) => {
            begun.push(nowMs());
            const { ms, how } = works[Math.min(begun.length, works.length) - 1]!;
            remaining.push([
              context.remainingMs,
              Math.min(deadlineMs - nowMs(), attemptTimeoutMs ?? Infinity),
            ]);
            if (how === "obeys") return obedient(context);
            if (how === "never") return stubborn();
            return how === "fails" ? slow(ms)() : slow(ms)().catch(() => "done");
          });
          let settledMs = Infinity;
          void call.then(
            () => (settledMs = nowMs()),
            () => (settledMs = nowMs()),
          );
          // Advance in the order of the timers, and look at the clock when it has settled.
          await clock.advance(deadlineMs);
          expect(settledMs).toBeLessThanOrEqual(deadlineMs);
          for (const ms of begun) expect(ms).toBeLessThan(deadlineMs);
          for (const [told, left] of remaining) expect(told).toBeCloseTo(left, 6);
          // What is pending is the work's own: it ignored its signal.
          await clock.advance(4_000);
          expect(clock.pending).toBe(0);
        },
      ),
      { numRuns: 300 },
    );
  });
});
