import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { getEventListeners } from "node:events";
import { LeaseholdError, LeaseLostError, StoredFailure, type ErrorCode } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import * as cockatiel from "cockatiel";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { constantBackoff, exponentialBackoff, noBackoff } from "./backoff.ts";
import { circuitBreaker } from "../circuit/local-circuit-breaker.ts";
import type { RetryOptions } from "./retry-options.ts";
import { retryOutcome, type RetryEvent } from "./retry-outcome.ts";
import { retryBudget } from "./retry-budget.ts";
import type { RetryContext } from "./call-limits.ts";
import { retry, type RetryPolicy } from "./retry.ts";

let clock: SimClock;
let events: RetryEvent[];

beforeEach(() => {
  clock = new SimClock();
  events = [];
});

function policy(options: RetryOptions = {}): RetryPolicy {
  const onEvent = (event: RetryEvent): void => void events.push(event);
  return retry({ backoff: constantBackoff(100), clock, onEvent, ...options });
}

/** Starts a call, lets its waits pass, and returns how it ended. */
async function ended<T>(call: Promise<T>, ms = 60_000): Promise<PromiseSettledResult<T>> {
  const settled = Promise.allSettled([call]);
  await clock.advance(ms);
  const [result] = await settled;
  return result;
}

/** Fails with each of these in turn, then succeeds. */
function failing(...errors: unknown[]): () => Promise<string> {
  return async () => {
    if (errors.length > 0) throw errors.shift();
    return "done";
  };
}

const gaveUp = (): RetryEvent | undefined => events.find(({ type }) => type === "gave-up");

describe("retried", () => {
  it("a failure, until it succeeds; the context counts the attempts from 1", async () => {
    const contexts: RetryContext[] = [];
    const work = failing(new Error("1"), new Error("2"));
    const call = policy().execute((context) => {
      contexts.push(context);
      return work();
    });
    expect(await ended(call)).toEqual({ status: "fulfilled", value: "done" });
    expect(contexts.map(({ attempt, remainingMs }) => [attempt, remainingMs])).toEqual([
      [1, Infinity],
      [2, Infinity],
      [3, Infinity],
    ]);
  });

  it("a function that throws before it has made a promise, too", async () => {
    let calls = 0;
    const call = policy().execute(() => {
      if ((calls += 1) < 3) throw new Error("at once");
      return calls;
    });
    expect(await ended(call)).toEqual({ status: "fulfilled", value: 3 });
  });

  it("what retryIf picks, and nothing else", async () => {
    const retryIf = (error: unknown): boolean => error instanceof RangeError;
    const fn = vi.fn<() => Promise<string>>(failing(new RangeError(), new TypeError("no")));
    const result = await ended(policy({ retryIf }).execute(fn));
    expect(result).toMatchObject({ status: "rejected", reason: { message: "no" } });
    expect(fn).toHaveBeenCalledTimes(2);
  });

  it("values that retryIfResult picks; the last one is returned, with its outcome", async () => {
    const responses = [{ status: 503 }, { status: 502 }, { status: 500 }];
    const last = responses.at(-1)!;
    const retryIfResult = (value: unknown): boolean => (value as { status: number }).status >= 500;
    const call = policy({ retryIfResult, maxRetries: 2 }).execute(() => responses.shift());
    expect(await ended(call)).toEqual({ status: "fulfilled", value: last });
    expect(retryOutcome(last)).toEqual({ attempts: 3, reason: "exhausted" });
  });

  it("contention and an unreachable store, but not an unknown outcome: that only if retryIf says so", async () => {
    const calls = async (code: ErrorCode, options?: RetryOptions): Promise<number> => {
      const fn = vi.fn<() => Promise<string>>(failing(new LeaseholdError(code, "x")));
      await ended(policy(options).execute(fn));
      return fn.mock.calls.length;
    };
    expect(await calls("ACQUIRE_TIMEOUT")).toBe(2);
    expect(await calls("BACKEND_UNAVAILABLE")).toBe(2);
    expect(await calls("OUTCOME_UNKNOWN")).toBe(1);
    expect(await calls("OUTCOME_UNKNOWN", { retryIf: () => true })).toBe(2);
  });
});

describe("never retried, whatever retryIf says", () => {
  const open = circuitBreaker({ name: "open", window: { type: "consecutive", failures: 1 } });
  const refused = async (): Promise<unknown> => {
    await open.execute(failing(new Error("opens it"))).catch(() => undefined);
    return open.execute(() => 1).catch((error: unknown) => error);
  };
  const isolated = async (): Promise<unknown> => {
    const breaker = circuitBreaker({ name: "isolated" });
    breaker.isolate("maintenance");
    return breaker.execute(() => 1).catch((error: unknown) => error);
  };
  const code = (value: ErrorCode) => () => new LeaseholdError(value, value);
  it.each<[string, () => unknown]>([
    ["an open circuit", refused],
    ["an isolated circuit", isolated],
    ["an open circuit of cockatiel", () => new cockatiel.BrokenCircuitError()],
    ["an isolated circuit of cockatiel", () => new cockatiel.IsolatedCircuitError()],
    ["a lost lease", () => new LeaseLostError("expired", "x")],
    ["a stale token", code("STALE_TOKEN")],
    ["an idempotency key of another payload", code("IDEMPOTENCY_MISMATCH")],
    ["an execution that was taken over", code("IDEMPOTENCY_FENCED")],
    ["a closed coordinator", code("CLOSED")],
    ["an invalid argument", code("INVALID_ARGUMENT")],
    ["what says it is permanent", () => new LeaseholdError("BACKEND_UNAVAILABLE", "x", { permanent: true })],
    ["a failure that an idempotency key keeps", () => new StoredFailure("Error", "declined", undefined)],
    ["an abort", () => new DOMException("stop", "AbortError")],
  ])("%s", async (_, make) => {
    const error = await make();
    const fn = vi.fn<() => Promise<string>>(failing(error));
    const result = await ended(policy({ retryIf: () => true }).execute(fn));
    expect(result).toEqual({ status: "rejected", reason: error });
    expect(fn).toHaveBeenCalledTimes(1);
    expect(retryOutcome(error)).toEqual({ attempts: 1, reason: "not-retryable" });
  });
});

describe("what it rejects with", () => {
  it.each([
    ["an error", new Error("original")],
    ["a frozen error", Object.freeze(new Error("frozen"))],
    ["a plain object", { code: 7 }],
  ])("%s, as it is, with attempts and reason beside it", async (_, error) => {
    const result = await ended(policy({ maxRetries: 2 }).execute(failing(error, error, error)));
    expect(result.status === "rejected" && result.reason).toBe(error);
    expect(retryOutcome(error)).toEqual({ attempts: 3, reason: "exhausted" });
    expect(gaveUp()).toMatchObject({ attempts: 3, reason: "exhausted", failure: { error } });
  });

  it.each([["a string"], [7], [undefined], [null], [Symbol("thrown")]])(
    "a primitive (%s): the event has what cannot be attached",
    async (error) => {
      const result = await ended(policy({ maxRetries: 1 }).execute(failing(error, error)));
      expect(result).toEqual({ status: "rejected", reason: error });
      expect(retryOutcome(error)).toBe(undefined);
      expect(gaveUp()).toMatchObject({ attempts: 2, reason: "exhausted", failure: { error } });
    },
  );

  it("knows nothing of errors that no retry gave up on", () => {
    expect(retryOutcome(new Error("other"))).toBe(undefined);
  });
});

describe("a wish of the server to wait longer", () => {
  const delays = (): number[] =>
    events.flatMap((event) => (event.type === "retrying" ? [event.delayMs] : []));

  it.each([
    ["waits as long as asked, if that is more", 700, [700]],
    ["but no less than the backoff", 20, [100]],
    ["and no more than maxRetryAfterMs", 3_600_000, [5_000]],
    ["Infinity is clamped, too", Infinity, [5_000]],
    ["nonsense is no wish", NaN, [100]],
    ["nor is a negative number", -5, [100]],
    ["nor nothing", undefined, [100]],
    ["nor what is no number at all", "7" as unknown as number, [100]],
  ])("%s", async (_, wish, expected) => {
    const options = { retryAfter: () => wish, maxRetryAfterMs: 5_000 };
    await ended(policy(options).execute(failing(new Error("x"))));
    expect(delays()).toEqual(expected);
  });

  it("reads it from values, too", async () => {
    const responses = [
      { status: 429, after: 3 },
      { status: 200, after: 0 },
    ];
    const call = policy({
      retryIfResult: (value) => (value as { status: number }).status === 429,
      retryAfter: (failure) =>
        "value" in failure ? (failure.value as { after: number }).after * 1_000 : undefined,
    }).execute(() => responses.shift());
    expect(await ended(call)).toMatchObject({ value: { status: 200 } });
    expect(delays()).toEqual([3_000]);
  });

  it("reads the retryAfterMs of our own errors by itself", async () => {
    const busy = new LeaseholdError("IDEMPOTENCY_IN_PROGRESS", "x", { retryAfterMs: 1_500 });
    await ended(policy().execute(failing(busy)));
    expect(delays()).toEqual([1_500]);
  });

  it("a wish beyond the limit never lowers a longer backoff", async () => {
    const options = { backoff: constantBackoff(9_000), retryAfter: () => 20_000, maxRetryAfterMs: 5_000 };
    await ended(policy(options).execute(failing(new Error("x"))));
    expect(delays()).toEqual([9_000]);
  });
});

describe("the budget", () => {
  it("is shared; when it is used up, the call rejects with the original error, and the reason", async () => {
    const budget = retryBudget({ ratio: 0.1, minPerSecond: 0, maxTokens: 3, clock });
    const [one, other] = [policy({ budget }), policy({ budget, maxRetries: 9 })];
    const error = new Error("down");
    const fn = vi.fn<() => Promise<never>>(() => Promise.reject(error));
    await ended(one.execute(failing(new Error("a"), new Error("b"))));
    const result = await ended(other.execute(fn));
    expect(result.status === "rejected" && result.reason).toBe(error);
    // The first call withdrew two of the three tokens. Its deposit met a full bucket.
    expect(fn).toHaveBeenCalledTimes(2);
    expect(retryOutcome(error)).toEqual({ attempts: 2, reason: "budget" });
  });

  it("grows with each call, not with each attempt", async () => {
    const budget = retryBudget({ ratio: 0.25, minPerSecond: 0, maxTokens: 9, clock });
    while (budget.withdraw());
    for (let calls = 0; calls < 3; calls++) await ended(policy({ budget }).execute(() => 1));
    expect(budget.tokens).toBe(0.75);
    await ended(policy({ budget, maxRetries: 9 }).execute(failing(new Error("a"), new Error("b"))));
    expect(budget.tokens).toBe(0);
  });

  it("pays for retries that are made, not for those that are impossible", async () => {
    const budget = retryBudget({ ratio: 0, minPerSecond: 1e-9, maxTokens: 5, clock });
    const work = (): Promise<never> => Promise.reject(new Error("x"));
    await ended(policy({ budget, maxRetries: 0 }).execute(work));
    await ended(policy({ budget, deadlineMs: 50 }).execute(work));
    expect(Math.round(budget.tokens)).toBe(5);
  });
});

describe("events", () => {
  it("tell each retry, and why a call gave up; nothing of a call that succeeds at once", async () => {
    const error = new Error("x");
    await ended(policy().execute(() => 1));
    expect(events).toEqual([]);
    await ended(policy({ name: "payments", maxRetries: 1 }).execute(failing(error, error)));
    expect(events).toEqual([
      { type: "retrying", retry: "payments", attempt: 1, delayMs: 100, failure: { error } },
      { type: "gave-up", retry: "payments", attempts: 2, reason: "exhausted", failure: { error } },
    ]);
  });

  it("publishes them on leasehold:retry", async () => {
    const published: unknown[] = [];
    const listener = (message: unknown): void => void published.push(message);
    subscribe("leasehold:retry", listener);
    try {
      await ended(policy({ maxRetries: 0 }).execute(failing(new Error("x"))));
    } finally {
      unsubscribe("leasehold:retry", listener);
    }
    expect(published).toEqual(events);
  });

  it("a listener that throws changes nothing but a process warning", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const broken = (): never => {
      throw new Error("listener");
    };
    const call = policy({ onEvent: broken });
    call.onSuccess(broken);
    expect(await ended(call.execute(failing(new Error("x"))))).toEqual({
      status: "fulfilled",
      value: "done",
    });
    expect(warn).toHaveBeenCalledTimes(2);
    warn.mockRestore();
  });

  it("onSuccess and onFailure are called once per call, with its duration", async () => {
    const heard: unknown[] = [];
    const retrying = policy({ maxRetries: 1 });
    const success = retrying.onSuccess((event) => heard.push(event));
    retrying.onFailure((event) => heard.push(event));
    await ended(retrying.execute(failing(new Error("x"))));
    const error = new LeaseholdError("CLOSED", "x");
    await ended(retrying.execute(failing(error)));
    expect(heard).toEqual([{ duration: 100 }, { duration: 0, handled: false, reason: { error } }]);
    success.dispose();
    await ended(retrying.execute(() => 1));
    expect(heard).toHaveLength(2);
  });
});

it("a call without a signal gets a signal that keeps no listener, since it outlives all calls", async () => {
  const signal = await policy().execute((context) => context.signal);
  signal.addEventListener("abort", () => undefined);
  expect(signal).toBeInstanceOf(AbortSignal);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

it("a wait of 0 still lets timers and aborts have their turn", async () => {
  const aborter = new AbortController();
  const call = retry({ maxRetries: Infinity, backoff: noBackoff() }).execute(
    () => Promise.reject(new Error("x")),
    aborter.signal,
  );
  setTimeout(() => aborter.abort(new Error("stop")), 5);
  await expect(call).rejects.toThrow("stop");
});

it("refuses what it cannot work with, saying what is wrong", async () => {
  const refused: [RetryOptions, RegExp][] = [
    [null as never, /options must be an object; got null/],
    [{ name: "" }, /name must be a string of 1 to 512 characters; got ""/],
    [{ maxRetries: -1 }, /maxRetries must be a whole number at least 0, or Infinity; got -1/],
    [{ maxRetries: 1.5 }, /maxRetries/],
    [{ maxRetries: "3" as never }, /maxRetries must be a whole number .* got "3"/],
    [{ backoff: 100 as never }, /backoff must be a function; got 100/],
    [{ retryIf: true as never }, /retryIf must be a function; got true/],
    [{ retryIfResult: {} as never }, /retryIfResult must be a function; got an object/],
    [{ retryAfter: 3 as never }, /retryAfter must be a function/],
    [{ maxRetryAfterMs: Infinity }, /maxRetryAfterMs must be a finite number at least 0; got Infinity/],
    [{ deadlineMs: 0 }, /deadlineMs must be a finite number above 0, or Infinity; got 0/],
    [{ attemptTimeoutMs: NaN }, /attemptTimeoutMs/],
    [{ budget: {} as never }, /budget must be what retryBudget\(\) answers/],
    [{ onEvent: "log" as never }, /onEvent must be a function; got "log"/],
  ];
  for (const [options, message] of refused) expect(() => retry(options)).toThrow(message);
  const sound = policy();
  await expect(sound.execute(3 as never)).rejects.toThrow("fn must be a function; got 3");
  await expect(sound.execute(() => 1, {} as never)).rejects.toThrow(
    "signal must be an AbortSignal; got an object",
  );
  await expect(sound.execute(() => 1, undefined, { deadline: NaN })).rejects.toThrow(
    "deadline must be a finite number, or Infinity; got NaN.",
  );
  expect(() => sound.onSuccess(1 as never)).toThrow("listener must be a function");
  const broken = policy({ backoff: () => NaN });
  await expect(broken.execute(failing(new Error("x")))).rejects.toThrow("a backoff must answer a number");
  expect(exponentialBackoff()).toBeTypeOf("function");
});
