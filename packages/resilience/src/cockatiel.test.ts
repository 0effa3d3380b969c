/** Our policies and cockatiel's compose, by type and at run time. */
import type { RunPolicy } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import * as cockatiel from "cockatiel";
import { beforeEach, describe, expect, expectTypeOf, it, vi } from "vitest";

import { constantBackoff } from "./retry/backoff.ts";
import { isBrokenCircuitError, type BrokenCircuitError } from "./circuit/broken-circuit-error.ts";
import type { CircuitBreaker } from "./circuit/circuit-breaker.ts";
import { circuitBreaker } from "./circuit/local-circuit-breaker.ts";
import type { Policy, PolicyContext } from "./base/policy.ts";
import type { RetryContext } from "./retry/call-limits.ts";
import { retry, type RetryPolicy } from "./retry/retry.ts";

let clock: SimClock;

beforeEach(() => {
  clock = new SimClock();
});

const retrying = (): RetryPolicy => retry({ clock, maxRetries: 3, backoff: constantBackoff(10) });
const breaking = (failures: number): CircuitBreaker =>
  circuitBreaker({ name: "b", window: { type: "consecutive", failures }, openMs: 1_000, clock });

it("by type: our policies are cockatiel's, its policies are ours, and core runs work under both", () => {
  expectTypeOf<RetryPolicy>().toExtend<cockatiel.IPolicy<RetryContext>>();
  expectTypeOf<RetryPolicy>().toExtend<cockatiel.IPolicy>();
  expectTypeOf<CircuitBreaker>().toExtend<cockatiel.IPolicy>();
  expectTypeOf<cockatiel.BulkheadPolicy>().toExtend<Policy>();
  expectTypeOf<cockatiel.TimeoutPolicy>().toExtend<Policy>();
  expectTypeOf<RetryPolicy>().toExtend<RunPolicy>();
  expectTypeOf<CircuitBreaker>().toExtend<RunPolicy>();
  const wrapped = cockatiel.wrap(retrying(), breaking(1), cockatiel.bulkhead(1));
  expectTypeOf(wrapped).toExtend<Policy<RetryContext>>();
  expectTypeOf(wrapped.execute(() => 1)).toEqualTypeOf<Promise<number>>();
  const withFallback = cockatiel.wrap(cockatiel.fallback(cockatiel.handleAll, "none"), retrying());
  expectTypeOf(withFallback.execute(() => 1)).toEqualTypeOf<Promise<number | string>>();
  expectTypeOf<PolicyContext>().toExtend<cockatiel.IDefaultPolicyContext>();
});

describe("wrapped by cockatiel", () => {
  it("a retry around a circuit: the work sees both contexts", async () => {
    const contexts: RetryContext[] = [];
    const call = cockatiel.wrap(retrying(), breaking(5)).execute((context) => {
      contexts.push(context);
      if (contexts.length < 3) throw new Error("x");
      return "done";
    });
    await clock.advance(100);
    expect(await call).toBe("done");
    expect(contexts.map(({ attempt, remainingMs }) => [attempt, remainingMs])).toEqual([
      [1, Infinity],
      [2, Infinity],
      [3, Infinity],
    ]);
    expect(contexts[0]?.signal).toBeInstanceOf(AbortSignal);
  });

  it("the caller's signal, and the time of an attempt, reach the work through all of them", async () => {
    const limited = retry({ clock, attemptTimeoutMs: 500, maxRetries: 0 });
    const signals: AbortSignal[] = [];
    const policy = cockatiel.wrap(
      limited,
      breaking(5),
      cockatiel.bulkhead(5),
      circuitBreaker({ name: "c", clock }),
    );
    const call = policy.execute(({ signal, remainingMs }) => {
      signals.push(signal);
      expect(remainingMs).toBe(500);
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason as Error)),
      );
    }, new AbortController().signal);
    const ended = call.catch((error: unknown) => error);
    await clock.advance(500);
    expect(await ended).toMatchObject({ name: "TimeoutError", limit: "attempt" });
    expect(signals[0]?.aborted).toBe(true);
  });

  it("a bulkhead that is full refuses, and the retry tries again", async () => {
    const bulkhead = cockatiel.bulkhead(1);
    const held = Promise.withResolvers<void>();
    const holding = bulkhead.execute(() => held.promise);
    const call = cockatiel.wrap(retrying(), bulkhead).execute(() => "in");
    await clock.advance(5);
    held.resolve();
    await holding;
    await clock.advance(10);
    expect(await call).toBe("in");
  });

  it("a timeout inside a circuit is a failure of the dependency", async () => {
    const breaker = breaking(1);
    const timeout = cockatiel.timeout(5, cockatiel.TimeoutStrategy.Aggressive);
    const call = cockatiel.wrap(breaker, timeout).execute(() => new Promise<void>(() => undefined));
    await expect(call).rejects.toSatisfy(cockatiel.isTaskCancelledError);
    expect(breaker.state).toBe("open");
  });

  it("a fallback answers for an open circuit, which cockatiel's own predicates recognise", async () => {
    const breaker = breaking(1);
    await breaker.execute(() => Promise.reject(new Error("x"))).catch(() => undefined);
    const broken = cockatiel.handleWhen(cockatiel.isBrokenCircuitError);
    const policy = cockatiel.wrap(cockatiel.fallback(broken, "cached"), retrying(), breaker);
    expect(await policy.execute(() => "live")).toBe("cached");
    using isolation = breaker.isolate("by hand");
    await expect(breaker.execute(() => 1)).rejects.toSatisfy(cockatiel.isIsolatedCircuitError);
    expect(isolation).toBeDefined();
  });

  it("its circuit inside our retry, and our circuit inside its retry", async () => {
    const theirs = cockatiel.circuitBreaker(cockatiel.handleAll, {
      halfOpenAfter: 1_000,
      breaker: new cockatiel.ConsecutiveBreaker(1),
    });
    const fn = vi.fn<() => Promise<never>>(() => Promise.reject(new Error("x")));
    const mine = cockatiel
      .wrap(retrying(), theirs)
      .execute(fn)
      .catch((error: unknown) => error);
    await clock.advance(100);
    expect(isBrokenCircuitError(await mine)).toBe(true);
    expect(fn).toHaveBeenCalledTimes(1);

    const theirRetry = cockatiel.retry(cockatiel.handleAll, { maxAttempts: 1 });
    const error = await cockatiel
      .wrap(theirRetry, breaking(1))
      .execute(fn)
      .catch((thrown: unknown) => thrown);
    expect((error as BrokenCircuitError).retryAfterMs).toBe(1_000);
    expect(fn).toHaveBeenCalledTimes(2);
  });

  it("onSuccess and onFailure are cockatiel's events", async () => {
    const heard = vi.fn<() => void>();
    const policy = cockatiel.wrap(retrying(), breaking(1));
    const listening = policy.onSuccess(heard);
    await policy.execute(() => 1);
    listening.dispose();
    await policy.execute(() => 1);
    expect(heard.mock.calls).toEqual([[{ duration: 0 }]]);
    const once = cockatiel.Event.toPromise(policy.onSuccess);
    await policy.execute(() => 1);
    expect(await once).toEqual({ duration: 0 });
  });
});
