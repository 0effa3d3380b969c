import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, test } from "vitest";

import type { Backend } from "../contract/backend.ts";
import { createCoordinator, type Coordinator } from "../coordinator.ts";
import { LeaseholdError } from "../errors.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";
import type { Member } from "./membership.ts";

const ttlMs = 3_000;

let clock: SimClock;
let store: MemoryStore;
beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
});

/** A process, and what its observers cost the store. */
interface Counted {
  readonly coordinator: Coordinator;
  readonly looks: { whole: number; changes: number; told: number };
  readonly watches: () => number;
  fails: boolean | LeaseholdError;
  readonly events: string[];
}

function counted(): Counted {
  const looks = { whole: 0, changes: 0, told: 0 };
  let watches = 0;
  const backend = memoryBackend({ store });
  const { leases } = backend;
  const counting: Backend = {
    ...backend,
    leases: {
      ...{ onGrant: leases.onGrant.bind(leases), inspect: leases.inspect.bind(leases) },
      ...{ acquire: leases.acquire.bind(leases), renew: leases.renew.bind(leases) },
      ...{ release: leases.release.bind(leases), propose: leases.propose.bind(leases) },
      evict: leases.evict.bind(leases),
      look: async (resource, options) => {
        if (made.fails !== false)
          throw made.fails === true ? new LeaseholdError("BACKEND_UNAVAILABLE", "out of reach") : made.fails;
        const seen = await leases.look(resource, options);
        looks[seen.whole ? "whole" : "changes"] += 1;
        looks.told += seen.holders.length + seen.gone.length;
        return seen;
      },
      watch: (resource, listener) => {
        watches += 1;
        const stop = leases.watch(resource, listener);
        return () => {
          watches -= 1;
          stop();
        };
      },
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  const events: string[] = [];
  const coordinator = createCoordinator({
    ...{ backend: counting, ttlMs },
    onEvent: (event) => {
      if (event.type === "degraded" || event.type === "restored")
        events.push(`${event.type} ${event.reason}`);
    },
  });
  const made: Counted = { coordinator, looks, watches: () => watches, fails: false, events };
  return made;
}

/** Observes until the signal aborts; the last list seen is in `now`. */
function observing(coordinator: Coordinator, signal: AbortSignal): { now: string[]; times: number } {
  const seen = { now: [] as string[], times: 0 };
  void (async () => {
    for await (const members of coordinator.membership("workers").observe({ signal })) {
      seen.now = members.map(({ value }: Member) => value);
      seen.times += 1;
    }
  })();
  return seen;
}

test("all observers of a process share one watch and one look, and a look is told of no more than the change", async () => {
  const process = counted();
  const members = createCoordinator({ backend: memoryBackend({ store }), ttlMs }).membership("workers");
  for (let i = 0; i < 50; i++) await members.join({ value: `m${i}` });
  const stop = new AbortController();
  const observers = Array.from({ length: 20 }, () => observing(process.coordinator, stop.signal));
  await clock.advance(500);
  expect(observers.map(({ now }) => now.length)).toEqual(observers.map(() => 50));
  expect(process.watches()).toBe(1);
  const before = { ...process.looks };
  await members.join({ value: "one more" });
  await clock.advance(500);
  expect(observers.map(({ now }) => now.at(-1))).toEqual(observers.map(() => "one more"));
  expect(process.looks).toEqual({
    whole: before.whole,
    changes: before.changes + 1,
    told: before.told + 1,
  });
  stop.abort();
  await process.coordinator.close();
});

test("a burst of changes is a few looks at its beginning, and then one for all that comes within a moment", async () => {
  const process = counted();
  const members = createCoordinator({ backend: memoryBackend({ store }), ttlMs }).membership("workers");
  const stop = new AbortController();
  const observer = observing(process.coordinator, stop.signal);
  await clock.advance(500);
  const before = process.looks.whole + process.looks.changes;
  for (let i = 0; i < 40; i++) {
    await members.join({ value: `m${i}` });
    await clock.advance(1);
  }
  await clock.advance(500);
  expect(observer.now).toEqual(Array.from({ length: 40 }, (_, i) => `m${i}`));
  expect(process.looks.whole + process.looks.changes - before).toBeLessThanOrEqual(5);
  stop.abort();
  await process.coordinator.close();
});

test("the last observer that leaves ends the watch and all timers; who comes later begins anew", async () => {
  const process = counted();
  const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
  observing(process.coordinator, first.signal);
  observing(process.coordinator, second.signal);
  await clock.advance(500);
  first.abort();
  await clock.advance(0);
  expect(process.watches()).toBe(1);
  second.abort();
  await clock.advance(0);
  expect([process.watches(), clock.pending]).toEqual([0, 0]);
  const lease = await process.coordinator.membership("workers").join({ value: "later" });
  const later = observing(process.coordinator, third.signal);
  await clock.advance(500);
  expect(later.now).toEqual(["later"]);
  await lease.release();
  third.abort();
  await process.coordinator.close();
  expect([process.watches(), clock.pending]).toEqual([0, 0]);
});

test("who comes while the store is out of reach is told nothing that was seen before", async () => {
  const process = counted();
  const members = createCoordinator({ backend: memoryBackend({ store }), ttlMs }).membership("workers");
  const stop = new AbortController();
  const early = observing(process.coordinator, stop.signal);
  await clock.advance(500);
  expect(early.now).toEqual([]);
  process.fails = true;
  await members.join({ value: "unseen" });
  const late = observing(process.coordinator, stop.signal);
  await clock.advance(5_000);
  expect([early.times, late.times]).toEqual([1, 0]);
  process.fails = false;
  await clock.advance(5_000);
  expect([early.now, late.now]).toEqual([["unseen"], ["unseen"]]);
  stop.abort();
  await process.coordinator.close();
});

test("a member that dies in silence is missed when its time is over", async () => {
  const process = counted();
  const stop = new AbortController();
  const request = { timeoutMs: 1_000, maxWaiters: 1, queue: false, weight: 1, value: "", ttlMs: 1_000 };
  const resource = { name: "default:membership:workers", announce: true, capacity: 2 ** 31 - 1 };
  store.acquire({ ...request, resource, owner: "0".repeat(32) }, "nobody");
  const observer = observing(process.coordinator, stop.signal);
  await clock.advance(500);
  expect(observer.now).toHaveLength(1);
  await clock.advance(1_000);
  expect(observer.now).toEqual([]);
  stop.abort();
  await process.coordinator.close();
});

test("a leader's last word is seen although it resigns at once, while others come and go behind it", async () => {
  const process = counted();
  const host = createCoordinator({ backend: memoryBackend({ store }), ttlMs });
  const stop = new AbortController();
  const seen: (string | null)[] = [];
  void (async () => {
    const election = process.coordinator.election("shared", { candidate: "-" });
    for await (const leader of election.observe({ signal: stop.signal })) seen.push(leader?.value ?? null);
  })();
  await clock.advance(500);
  const leadership = await host.election("shared", { candidate: "a", value: "first" }).campaign();
  const others = host.election("shared", { candidate: "b" });
  await clock.advance(500);
  const waits = Array.from({ length: 4 }, () => others.campaign({ signal: stop.signal }));
  for (const wait of waits) wait.catch(() => {});
  await clock.advance(1);
  for (const word of ["second", "third", "last"]) {
    await leadership.proclaim(word);
    await clock.advance(1);
  }
  await leadership.resign();
  await clock.advance(500);
  expect(seen.slice(0, 5)).toEqual([null, "first", "second", "third", "last"]);
  stop.abort();
  await host.close();
  await process.coordinator.close();
});

test("looks that the store refuses are told once, and once when they succeed again; an outage is not ours to tell", async () => {
  const observer = counted();
  const stop = new AbortController();
  const seen = observing(observer.coordinator, stop.signal);
  await clock.advance(100);
  expect(seen.times).toBe(1);
  observer.fails = true;
  await clock.advance(60_000);
  expect(observer.events).toEqual([]);
  observer.fails = new LeaseholdError("BACKEND_UNAVAILABLE", "too large", { permanent: true });
  await clock.advance(60_000);
  expect(observer.events).toEqual(["degraded refusing"]);
  observer.fails = false;
  await clock.advance(60_000);
  expect(observer.events).toEqual(["degraded refusing", "restored refusing"]);
  stop.abort();
  await observer.coordinator.close();
});
