/**
 * Defects that were measured in cockatiel 4.0.0, and that these policies do not have. Of eleven,
 * three cannot occur: there is no bulkhead (9: an aborted caller keeps its place in the queue), no
 * fallback (10: it is not told the error), and no saved circuit (6: a restored isolation has no
 * handle; the test shows why none is needed).
 */
import { systemRandom } from "@leasehold/core";
import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, it, vi } from "vitest";

import { constantBackoff, exponentialBackoff } from "./retry/backoff.ts";
import { isBrokenCircuitError } from "./circuit/broken-circuit-error.ts";
import { circuitBreaker } from "./circuit/local-circuit-breaker.ts";
import { retry } from "./retry/retry.ts";

let clock: SimClock;

beforeEach(() => {
  clock = new SimClock();
});

const failure = new Error("down");
const fail = (): Promise<never> => Promise.reject(failure);
const caught = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

it("1: the factor of an exponential backoff counts with every jitter that has one", () => {
  const random = { ...systemRandom, fraction: () => 0.5 };
  const waits = (jitter: "none" | "full" | "equal"): number[] =>
    [1, 2, 3, 4].map((step) =>
      exponentialBackoff({ initialMs: 100, factor: 3, jitter })({ retry: step, previousMs: 0, random }),
    );
  expect(waits("none")).toEqual([100, 300, 900, 2_700]);
  expect(waits("full")).toEqual([50, 150, 450, 1_350]);
  expect(waits("equal")).toEqual([75, 225, 675, 2_025]);
  expect(() => exponentialBackoff({ factor: 3, jitter: "decorrelated" })).toThrow("has no meaning");
});

it("2: an abort 100 ms into a backoff of a second ends it there, and the work is not called again", async () => {
  const aborter = new AbortController();
  const fn = vi.fn<() => Promise<never>>(fail);
  let settledMs = Infinity;
  const call = caught(retry({ backoff: constantBackoff(1_000), clock }).execute(fn, aborter.signal));
  void call.then(() => (settledMs = clock.now().monoMs));
  await clock.advance(100);
  aborter.abort(new Error("stop"));
  await clock.advance(10_000);
  expect(await call).toBe(aborter.signal.reason);
  expect(settledMs).toBe(100);
  expect(fn).toHaveBeenCalledTimes(1);
});

it("3: failures of five idle minutes ago open nothing", async () => {
  const breaker = circuitBreaker({
    name: "b",
    window: { type: "time", durationMs: 30_000 },
    minimumCalls: 5,
    clock,
  });
  for (let i = 0; i < 4; i++) await caught(breaker.execute(fail));
  await clock.advance(300_000);
  for (let i = 0; i < 4; i++) await caught(breaker.execute(fail));
  expect(breaker.state).toBe("closed");
  await caught(breaker.execute(fail));
  expect(breaker.state).toBe("open");
});

it("4: no call waits behind a probe: the others are refused at once, and a hung probe ends", async () => {
  const breaker = circuitBreaker({
    name: "b",
    window: { type: "consecutive", failures: 1 },
    openMs: 1_000,
    halfOpen: { probeTimeoutMs: 500 },
    clock,
  });
  await caught(breaker.execute(fail));
  await clock.advance(1_000);
  const probe = caught(breaker.execute(() => new Promise(() => undefined)));
  const other = await caught(breaker.execute(() => 1, new AbortController().signal));
  expect(isBrokenCircuitError(other)).toBe(true);
  expect(clock.now().monoMs).toBe(1_000);
  await clock.advance(500);
  expect(await probe).toMatchObject({ name: "TimeoutError" });
  expect(clock.pending).toBe(0);
});

it("5: a failure that began before the circuit opened neither ends nor outlives the probe", async () => {
  const breaker = circuitBreaker({
    name: "b",
    window: { type: "consecutive", failures: 1 },
    openMs: 1_000,
    clock,
  });
  const old = Promise.withResolvers<never>();
  const late = caught(breaker.execute(() => old.promise));
  await caught(breaker.execute(fail));
  await clock.advance(1_000);
  const running = Promise.withResolvers<string>();
  const probe = breaker.execute(() => running.promise);
  old.reject(failure);
  await late;
  expect(breaker.state).toBe("half-open");
  running.resolve("well");
  expect(await probe).toBe("well");
  expect(breaker.state).toBe("closed");
});

it("6: an isolation ends with its handles: no saved state could restore one without a handle", () => {
  const breaker = circuitBreaker({ name: "b", clock });
  expect("toJSON" in breaker).toBe(false);
  const handles = [breaker.isolate("one"), breaker.isolate("other")];
  for (const handle of handles) handle[Symbol.dispose]();
  expect(breaker.state).toBe("closed");
});

it("7: a caller's abort is not reported as a timeout of ours, nor a timeout as an abort", async () => {
  const obedient = ({ signal }: { signal: AbortSignal }): Promise<never> =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  const limited = retry({ attemptTimeoutMs: 5_000, maxRetries: 0, clock });
  const aborter = new AbortController();
  const left = caught(limited.execute(obedient, aborter.signal));
  aborter.abort(new Error("the user left"));
  expect(await left).toMatchObject({ message: "the user left" });
  const overdue = caught(limited.execute(obedient));
  await clock.advance(5_000);
  expect(await overdue).toMatchObject({ name: "TimeoutError", limit: "attempt" });
});

it("8: no retry is spent on an open circuit", async () => {
  const breaker = circuitBreaker({ name: "b", window: { type: "consecutive", failures: 3 }, clock });
  const retrying: number[] = [];
  const policy = retry({
    maxRetries: 5,
    backoff: constantBackoff(10),
    clock,
    onEvent: (event) => event.type === "retrying" && retrying.push(event.attempt),
  });
  const call = caught(policy.execute(({ signal }) => breaker.execute(fail, signal)));
  await clock.advance(1_000);
  expect(isBrokenCircuitError(await call)).toBe(true);
  // Three calls, and a fourth that the circuit refused. Two of the five retries were left.
  expect(retrying).toEqual([1, 2, 3]);
});

it("11: what is counted is in the name: maxRetries 3 makes 4 calls", async () => {
  const fn = vi.fn<() => Promise<never>>(fail);
  const call = caught(retry({ maxRetries: 3, backoff: constantBackoff(10), clock }).execute(fn));
  await clock.advance(1_000);
  await call;
  expect(fn).toHaveBeenCalledTimes(4);
});
