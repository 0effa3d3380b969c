/** Every claim of the guide on combining policies with locks (docs/resilience.md). */
import { createCoordinator, isLeaseholdError, isStoredFailure, type Coordinator } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { SimClock, withFaults, type Link } from "@leasehold/testing";
import { wrap } from "cockatiel";
import { beforeEach, expect, it } from "vitest";

import { constantBackoff } from "./retry/backoff.ts";
import { isBrokenCircuitError } from "./circuit/broken-circuit-error.ts";
import type { CircuitBreaker } from "./circuit/circuit-breaker.ts";
import { circuitBreaker } from "./circuit/local-circuit-breaker.ts";
import type { RetryOptions } from "./retry/retry-options.ts";
import { retryOutcome } from "./retry/retry-outcome.ts";
import { retry, type RetryPolicy } from "./retry/retry.ts";

let clock: SimClock;
let store: MemoryStore;
let coordinator: Coordinator;
let link: Link;
let breaker: CircuitBreaker;

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
  const faulty = withFaults(memoryBackend({ store }));
  link = faulty.link;
  coordinator = createCoordinator({ backend: faulty.backend, ttlMs: 3_000 });
  breaker = circuitBreaker({
    name: "ledger",
    window: { type: "consecutive", failures: 2 },
    openMs: 60_000,
    clock,
  });
});

const retrying = (options: RetryOptions = {}): RetryPolicy =>
  retry({ clock, backoff: constantBackoff(500), maxRetries: 3, ...options });

const caught = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error);

it("the lock inside the retry: each attempt has a new token, and between them others have their turn", async () => {
  const lock = coordinator.lock("account:7");
  const turns: string[] = [];
  const tokens: bigint[] = [];
  const call = lock.run(
    async (lease) => {
      tokens.push(lease.fencingToken);
      turns.push("attempt");
      if (tokens.length < 2) throw new Error("x");
    },
    { policy: retrying() },
  );
  await clock.advance(100);
  await lock.run(() => void turns.push("another"));
  await clock.advance(500);
  await call;
  expect(turns).toEqual(["attempt", "another", "attempt"]);
  expect(tokens[1]).toBeGreaterThan(tokens[0] ?? Infinity);
});

it("contention opens no circuit, and is retried", async () => {
  const held = await coordinator.lock("account:7").acquire();
  const policy = wrap(retrying(), breaker);
  const call = coordinator.lock("account:7").run(() => "done", { policy, waitMs: 1_000 });
  await clock.advance(3_200);
  expect([breaker.state, breaker.era]).toEqual(["closed", 0]);
  await held.release();
  await clock.advance(1_000);
  expect(await call).toBe("done");
});

it("losing the lease ends the attempt, is never retried, and is no failure of the dependency", async () => {
  let attempts = 0;
  const policy = wrap(retrying(), breaker);
  const call = caught(
    coordinator.lock("account:7").run(
      ({ signal }) => {
        attempts += 1;
        return new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason as Error)),
        );
      },
      { policy },
    ),
  );
  await clock.advance(10);
  link.cut();
  await clock.advance(10_000);
  expect(isLeaseholdError(await call, "LEASE_LOST")).toBe(true);
  expect(attempts).toBe(1);
  expect([breaker.state, breaker.era]).toEqual(["closed", 0]);
});

it("a retry within the body ends with the lease, waits included", async () => {
  let attempts = 0;
  const call = caught(
    coordinator.lock("account:7").run((lease) =>
      retrying({ backoff: constantBackoff(60_000) }).execute(() => {
        attempts += 1;
        return Promise.reject(new Error("x"));
      }, lease.signal),
    ),
  );
  await clock.advance(10);
  link.cut();
  await clock.advance(3_000);
  expect(isLeaseholdError(await call, "LEASE_LOST")).toBe(true);
  expect([attempts, clock.now().monoMs]).toEqual([1, 3_010]);
});

it("the breaker outside the acquire: while it is open nobody joins the line", async () => {
  const lock = coordinator.lock("account:7");
  const policy = wrap(retrying(), breaker);
  const fail = (): Promise<never> => Promise.reject(new Error("the ledger is down"));
  const first = caught(lock.run(fail, { policy }));
  await clock.advance(2_000);
  expect(isBrokenCircuitError(await first)).toBe(true);
  const held = await lock.acquire();
  expect(isBrokenCircuitError(await caught(lock.run(fail, { policy })))).toBe(true);
  expect((await coordinator.inspect("account:7")).line).toEqual([]);
  await held.release();
});

it("an attempt whose time is over keeps its lock until its body has ended: the next one waits for that", async () => {
  let running = 0;
  let highest = 0;
  let attempts = 0;
  const call = coordinator.lock("account:7").run(
    async () => {
      attempts += 1;
      running += 1;
      highest = Math.max(highest, running);
      // The first time, two seconds of work that ignores its signal.
      if (attempts === 1) await new Promise<void>((resolve) => clock.schedule(2_000, resolve));
      running -= 1;
      return attempts;
    },
    { policy: retrying({ attemptTimeoutMs: 1_000 }) },
  );
  await clock.advance(5_000);
  expect(await call).toBe(2);
  expect(highest).toBe(1);
});

it("idempotent work under a retry: what was released executes again, with a higher token; a stored failure does not", async () => {
  const charges = coordinator.idempotency("charges", {
    classifyError: (error) => (error instanceof TypeError ? "released" : "stored"),
  });
  const tokens: bigint[] = [];
  const call = caught(
    charges.run("order:42", { policy: retrying() }, ({ fencingToken }) => {
      tokens.push(fencingToken);
      return Promise.reject(tokens.length < 3 ? new TypeError("not sent") : new Error("card declined"));
    }),
  );
  await clock.advance(5_000);
  const error = await call;
  // The third execution failed for good; the fourth attempt found that stored, and the retry ended.
  expect(isStoredFailure(error)).toBe(true);
  expect(retryOutcome(error)).toEqual({ attempts: 4, reason: "not-retryable" });
  expect(tokens).toHaveLength(3);
  expect(tokens.toSorted((a, b) => Number(a - b))).toEqual(tokens);
});
