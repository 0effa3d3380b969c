import { SimClock, withFaults, type Link } from "@leasehold/testing";
import { beforeEach, expect, it } from "vitest";

import { createCoordinator, type Coordinator } from "../coordinator.ts";
import type { LeaseholdEvent } from "../events.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";
import type { Lease } from "./lease.ts";

const ttlMs = 3_000;
/** A margin before the ttl: see `driftMarginMs`. */
const deadlineMs = ttlMs - 70;

let clock: SimClock;
let store: MemoryStore;
let link: Link;
let coordinator: Coordinator;
/** What happened, in order: signals that aborted, and events. */
let steps: string[];
let onEvent: (event: LeaseholdEvent) => void;

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
  steps = [];
  onEvent = (event) => {
    if (event.type === "lost" || event.type === "released") steps.push(`${event.type} ${event.name}`);
  };
  const faulty = withFaults(memoryBackend({ store }));
  link = faulty.link;
  coordinator = createCoordinator({ backend: faulty.backend, ttlMs, onEvent: (event) => onEvent(event) });
});

async function hold(name: string, react = (): void => {}): Promise<Lease> {
  const lease = await coordinator.lock(name).acquire();
  lease.signal.addEventListener("abort", () => {
    steps.push(`aborted ${name}`);
    react();
  });
  return lease;
}

it("aborts the signal of a lease before it tells of the loss, and tells what that sets off after it", async () => {
  const lease: Lease = await hold("a", () => void lease.release());
  link.cut();
  await clock.advance(deadlineMs);
  expect(steps).toEqual(["aborted a", "lost a", "released a"]);
});

it("aborts all signals, the earliest deadline first, before it tells of any loss", async () => {
  for (const name of ["a", "b", "c"]) {
    await hold(name);
    await clock.advance(10);
  }
  link.cut();
  // The loop is blocked over all three deadlines. The last lease has one by a renewal.
  clock.block(ttlMs);
  await clock.advance(1);
  expect(steps).toEqual(["aborted a", "aborted b", "aborted c", "lost a", "lost b", "lost c"]);
});

it("aborts all signals first, too, where the store says that they are gone", async () => {
  for (const name of ["a", "b"]) await hold(name);
  store.flush();
  await clock.advance(ttlMs / 3);
  expect(steps).toEqual(["aborted a", "aborted b", "lost a", "lost b"]);
});

it("looks at the deadlines between two events, and between two who hear an abort, for they may be slow", async () => {
  await hold("a", () => clock.block(20));
  await clock.advance(10);
  await hold("b");
  await clock.advance(20);
  await hold("c");
  await clock.advance(100);
  await hold("d");
  onEvent = ({ type, ...event }) => {
    if (type !== "lost" || !("name" in event)) return;
    steps.push(`lost ${event.name}`);
    clock.block(60);
  };
  link.cut();
  await clock.advance(deadlineMs);
  // The abort of a took b's deadline. The events of both took c's, and d's.
  expect(steps).toEqual([
    ...["aborted a", "aborted b", "lost a", "aborted c", "lost b", "aborted d", "lost c", "lost d"],
  ]);
});

it("ends beliefs that are over before it asks about others, and tells of renewals after that", async () => {
  const [other, heard] = [coordinator.lock("long"), [] as string[]];
  const long = await other.acquire({ ttlMs: 60_000 });
  await hold("a");
  onEvent = ({ type }) => {
    if (type === "renewed" || type === "lost") heard.push(type);
  };
  clock.block(30_000);
  await clock.advance(1);
  expect(steps).toEqual(["aborted a"]);
  expect(heard).toEqual(["lost", "renewed"]);
  expect(long.isHeld()).toBe(true);
});
