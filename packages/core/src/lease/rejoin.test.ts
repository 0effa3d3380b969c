import { SimClock, withFaults, type Link } from "@leasehold/testing";
import { beforeEach, expect, it } from "vitest";

import type { AcquireRequest } from "../contract/lease-store.ts";
import type { Backend } from "../contract/backend.ts";
import { createCoordinator, type Coordinator, type CoordinatorOptions } from "../coordinator.ts";
import { LeaseholdError } from "../errors.ts";
import type { LeaseholdEvent } from "../events.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";
import type { Lease } from "./lease.ts";

const ttlMs = 3_000;

let clock: SimClock;
let store: MemoryStore;
let events: LeaseholdEvent[];
let requests: AcquireRequest[];
let failure: (() => Promise<never>) | null;

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
  events = [];
  requests = [];
  failure = null;
});

function open(options: Partial<CoordinatorOptions> = {}): { coordinator: Coordinator; link: Link } {
  const { backend, link } = withFaults(memoryBackend({ store }));
  const { leases } = backend;
  const acquire: typeof leases.acquire = (request) => {
    requests.push(request);
    return failure?.() ?? leases.acquire(request);
  };
  const noted: Backend = {
    ...backend,
    leases: { ...leases, acquire },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  const onEvent = (event: LeaseholdEvent): void => void events.push(event);
  return { coordinator: createCoordinator({ backend: noted, ttlMs, onEvent, ...options }), link };
}

/** Somebody else who holds the lock for long, and is heard of in no event. */
async function held(): Promise<Lease> {
  const other = createCoordinator({ backend: memoryBackend({ store }), ttlMs: 60_000 });
  return other.lock("a").acquire();
}

const types = (): string[] => events.map(({ type }) => type);
const line = (): readonly string[] => store.inspect("default:lock:a").line.map(({ owner }) => owner);

/** The flush is heard of at the next renewal. Until then others may take the line's front. */
async function flushed(): Promise<Lease> {
  store.flush();
  return held();
}

it("joins again as another owner, behind those who are there by now, and is granted in its turn", async () => {
  await held();
  const { coordinator } = open();
  const waiting = coordinator.lock("a").acquire();
  await clock.advance(10);
  const [old] = line();
  const holder = await flushed();
  await clock.advance(ttlMs / 3 + 100);
  const [fresh] = line();
  expect(fresh).not.toBe(old);
  expect(events).toMatchObject([
    { type: "queued", recipe: "lock", name: "a", claim: old?.slice(0, 8) },
    { type: "requeued", recipe: "lock", name: "a", claim: fresh?.slice(0, 8), before: old?.slice(0, 8) },
  ]);
  await holder.release();
  const lease = await waiting;
  expect(lease.owner).toBe(fresh);
  expect(lease.fencingToken).toBeGreaterThan(holder.fencingToken);
  expect(types()).toEqual(["queued", "requeued", "granted", "acquired"]);
});

it("joins again as often as its place dies, with what it first asked for", async () => {
  const { coordinator } = open();
  await held();
  const waiting = coordinator.lock("a").acquire({ metadata: { job: "nightly" } });
  for (let flush = 0; flush < 2; flush++) {
    await clock.advance(ttlMs / 2);
    await flushed();
  }
  await clock.advance(ttlMs / 2);
  store.flush();
  await clock.advance(ttlMs);
  expect((await waiting).isHeld()).toBe(true);
  expect(types().filter((type) => type === "requeued")).toHaveLength(3);
  expect(new Set(requests.map(({ owner }) => owner)).size).toBe(4);
  expect(new Set(requests.map(({ value }) => value)).size).toBe(1);
});

it("joins again after a pause for longer than its ttl", async () => {
  const { coordinator } = open();
  const holder = await held();
  const waiting = coordinator.lock("a").acquire();
  await clock.advance(10);
  clock.block(ttlMs + 100);
  await clock.advance(100);
  await holder.release();
  await clock.advance(100);
  expect((await waiting).isHeld()).toBe(true);
  expect(types()).toContain("requeued");
});

it("waits for the rest of its time, no longer", async () => {
  const { coordinator } = open();
  await held();
  const waiting = coordinator.lock("a").acquire({ waitMs: 5_000 });
  const failed = expect(waiting).rejects.toMatchObject({ code: "ACQUIRE_TIMEOUT" });
  await clock.advance(2_000);
  await flushed();
  await clock.advance(3_000);
  await failed;
  await clock.advance(100);
  expect(types()).toEqual(["queued", "requeued"]);
  expect(line()).toEqual([]);
});

it("says of a store that does not take it back what it said: full, out of reach, or nothing", async () => {
  const fates = [
    [() => Promise.reject(new LeaseholdError("BACKEND_UNAVAILABLE", "out of reach")), "BACKEND_UNAVAILABLE"],
    [() => Promise.reject(new LeaseholdError("OUTCOME_UNKNOWN", "no answer")), "OUTCOME_UNKNOWN"],
  ] as const;
  for (const [fate, code] of fates) {
    failure = null;
    store.flush();
    const { coordinator } = open();
    await held();
    const failed = expect(coordinator.lock("a").acquire({ waitMs: 5_000 })).rejects.toMatchObject({ code });
    await clock.advance(100);
    failure = fate;
    await flushed();
    await clock.advance(5_000);
    await failed;
    failure = null;
    await coordinator.close();
  }
  const { coordinator } = open({ maxWaitersPerName: 1 });
  store.flush();
  await held();
  const full = expect(coordinator.lock("a").acquire()).rejects.toMatchObject({ code: "TOO_MANY_WAITERS" });
  await clock.advance(10);
  await flushed();
  const { coordinator: quicker } = open();
  const first = quicker
    .lock("a")
    .acquire()
    .catch(() => {});
  await clock.advance(ttlMs / 3 + 10);
  await full;
  await quicker.close();
  await first;
});

it("is told where an operator evicted it, and does not join again", async () => {
  const { coordinator } = open();
  await held();
  const waiting = coordinator.lock("a").acquire();
  const failed = expect(waiting).rejects.toMatchObject({ code: "LEASE_LOST", reason: "evicted" });
  await clock.advance(10);
  expect(await coordinator.evict("a", line()[0]!)).toBe(true);
  await clock.advance(ttlMs);
  await failed;
  expect(types()).toEqual(["queued"]);
});

it("takes the old claim out where a request of it may still arrive, and lets nothing of it in (R5, R7)", async () => {
  const { coordinator, link } = open();
  const holder = await held();
  void link.loseReplyTo("acquire", "a");
  const waiting = coordinator.lock("a").acquire();
  await clock.advance(100);
  const [old] = requests;
  expect(types()).toEqual(["queued"]);
  store.flush();
  await clock.advance(ttlMs);
  const lease = await waiting;
  expect(lease.owner).not.toBe(old!.owner);
  const late = await memoryBackend({ store }).leases.acquire(old!);
  expect(late).toEqual({ kind: "refused", reason: "departed" });
  expect(holder.isHeld()).toBe(true);
});
