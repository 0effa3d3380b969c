import { SimClock, withFaults, type Link } from "@leasehold/testing";
import { beforeEach, expect, it } from "vitest";

import type { Backend } from "../contract/backend.ts";
import { createCoordinator, type Coordinator } from "../coordinator.ts";
import { LeaseholdError, type LeaseholdErrorOptions } from "../errors.ts";
import type { LeaseholdEvent } from "../events.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";

const ttlMs = 30_000;
const graceMs = 4_000;

let clock: SimClock;
let store: MemoryStore;
let events: LeaseholdEvent[];
/** How the store says that it is out of reach; null: it is not. */
let failure: (() => Promise<never>) | null;
let releases: number;

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
  events = [];
  failure = null;
  releases = 0;
});

function open(): { coordinator: Coordinator; link: Link } {
  const { backend, link } = withFaults(memoryBackend({ store }));
  const { leases } = backend;
  const faulty: Backend = {
    ...backend,
    leases: {
      ...leases,
      acquire: (request) => failure?.() ?? leases.acquire(request),
      release: (request) => {
        releases += 1;
        return failure?.() ?? leases.release(request);
      },
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  const onEvent = (event: LeaseholdEvent): void => void events.push(event);
  const coordinator = createCoordinator({ backend: faulty, ttlMs, graceMs, onEvent, maxWaiters: 100_000 });
  return { coordinator, link };
}

function unavailable(options: LeaseholdErrorOptions = {}): Promise<never> {
  return Promise.reject(new LeaseholdError("BACKEND_UNAVAILABLE", "out of reach", options));
}

/** How long it takes to close, in simulated milliseconds. */
async function closingMs(coordinator: Coordinator): Promise<number> {
  const { monoMs } = clock.now();
  let closed = false;
  const closing = coordinator.close().then(() => (closed = true));
  for (let tick = 0; !closed && tick < 100_000; tick += 10) await clock.advance(10);
  await closing;
  return clock.now().monoMs - monoMs;
}

const outcomes = (): string[] =>
  events.flatMap((event) => (event.type === "released" ? [event.outcome] : []));
const holders = (name: string): number => store.inspect(`default:lock:${name}`).holders.length;

it("waits for a release that was called just before it, and not awaited", async () => {
  const { coordinator, link } = open();
  const lease = await coordinator.lock("a").acquire();
  const disposed = await coordinator.lock("b").acquire();
  const waiting = coordinator.lock("c");
  await waiting.acquire();
  const abandoned = waiting.acquire({ signal: AbortSignal.abort(new Error("left")) }).catch(() => {});
  link.slow(200);
  const released = lease.release();
  void disposed[Symbol.asyncDispose]();
  expect(await closingMs(coordinator)).toBeLessThan(1_000);
  expect(await released).toBe("released");
  expect(["a", "b", "c"].map(holders)).toEqual([0, 0, 0]);
  await abandoned;
});

it("goes on trying within its grace where a claim may be in the store", async () => {
  const { coordinator } = open();
  await coordinator.lock("a").acquire();
  failure = unavailable;
  const closing = closingMs(coordinator);
  await clock.advance(graceMs / 2);
  expect(holders("a")).toBe(1);
  failure = null;
  expect(await closing).toBeLessThanOrEqual(graceMs);
  expect(holders("a")).toBe(0);
  expect(outcomes()).toEqual(["unknown"]);
});

it("ends with its grace where the store stays away, and says that the outcome is unknown", async () => {
  const { coordinator, link } = open();
  await coordinator.lock("a").acquire();
  link.cut();
  const tookMs = await closingMs(coordinator);
  expect(tookMs).toBeGreaterThanOrEqual(graceMs);
  expect(tookMs).toBeLessThan(graceMs + 100);
  expect(outcomes()).toEqual(["unknown"]);
  // What is in flight is given up at its own time limit.
  await clock.advance(1_000);
  expect(clock.pending).toBe(0);
});

it("waits for nothing where nothing ever left: neither between two tries nor within one", async () => {
  const { coordinator } = open();
  failure = unavailable;
  const waiting = coordinator
    .lock("a")
    .acquire({ waitMs: Infinity })
    .catch((error: unknown) => error);
  await clock.advance(2_000);
  // A try that is waiting for a connection when the coordinator closes.
  let refuse = (): void => {};
  failure = () =>
    new Promise((_, reject) => {
      refuse = () => reject(new LeaseholdError("BACKEND_UNAVAILABLE", "out of reach"));
    });
  await clock.advance(1_000);
  failure = unavailable;
  expect(await closingMs(coordinator)).toBeLessThan(100);
  expect(await waiting).toMatchObject({ code: "CLOSED" });
  refuse();
});

it("does not try again where that cannot help: a client closed for good, a user without access", async () => {
  const { coordinator } = open();
  await coordinator.lock("a").acquire();
  failure = () => unavailable({ permanent: true });
  expect(await closingMs(coordinator)).toBeLessThan(100);
  // The release, and the one try in the background that learns the same.
  expect(releases).toBe(2);
});

it("sends many releases a thousand at a time, each with its second, and none is unknown", async () => {
  const { coordinator, link } = open();
  const count = 2_500;
  await Promise.all(Array.from({ length: count }, (_, index) => coordinator.lock(`n${index}`).acquire()));
  link.slow(400);
  releases = 0;
  const closing = closingMs(coordinator);
  await clock.advance(1);
  expect(releases).toBe(1_000);
  expect(await closing).toBeLessThanOrEqual(graceMs);
  expect(outcomes().filter((outcome) => outcome === "released")).toHaveLength(count);
});

it("says of releases that it could not even send by the end of its grace that they are unknown", async () => {
  const { coordinator, link } = open();
  const count = 5_000;
  await Promise.all(Array.from({ length: count }, (_, index) => coordinator.lock(`n${index}`).acquire()));
  link.slow(480);
  const tookMs = await closingMs(coordinator);
  expect(tookMs).toBeLessThan(graceMs + 100);
  await clock.advance(2_000);
  const [released, unknown] = ["released", "unknown"].map(
    (outcome) => outcomes().filter((each) => each === outcome).length,
  );
  expect(released).toBeGreaterThanOrEqual(3_000);
  expect((released ?? 0) + (unknown ?? 0)).toBe(count);
  let left = 0;
  for (let index = 0; index < count; index++) left += holders(`n${index}`);
  expect(unknown).toBeGreaterThanOrEqual(left);
  expect(left).toBeGreaterThan(0);
});
