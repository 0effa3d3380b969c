import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { SharedLeases } from "../leases/shared-leases.ts";
import type { SharedLease } from "../leases/shared-lease.ts";
import type { Calls } from "../rpc/calls.ts";
import { Sweeper, type Kind } from "./sweeper.ts";

const ttlMs = 3_000;
const lease = { ttlMs } as SharedLease;
let clock: SimClock;
let sweeper: Sweeper;
let stored: Set<string>;
let lists: number;

/** A kind whose keys begin with its letter. */
class Letters implements Kind {
  readonly wanted = new Set<string>();
  readonly asked: string[] = [];
  late: string[] = [];
  expecting = false;
  reachable = true;
  readonly #letter: string;

  constructor(letter: string) {
    this.#letter = letter;
    sweeper.admit(this);
  }

  includes = (key: string): boolean => key.startsWith(this.#letter);
  isWanted = (key: string): boolean => this.wanted.has(key);
  isExpecting = (): boolean => this.expecting;
  overdue = (): readonly string[] => this.late;
  nextOverdueMs = (): number => (this.late.length > 0 ? 0 : Infinity);

  async remove(key: string): Promise<void> {
    this.asked.push(key);
    await Promise.resolve();
    if (!this.reachable) throw new Error("out of reach");
    stored.delete(key);
    this.late = this.late.filter((each) => each !== key);
  }
}

beforeEach(() => {
  clock = new SimClock();
  stored = new Set();
  lists = 0;
  const leases = {
    ours: [lease],
    list: async () => {
      lists += 1;
      return new Set(stored);
    },
  } as unknown as SharedLeases;
  sweeper = new Sweeper({ clock, now: () => clock.now() } as unknown as Calls, leases);
  onTestFinished(() => sweeper.close());
});

test("of the keys that a list shows, each kind removes its own, and only what nobody wants", async () => {
  const [a, b] = [new Letters("a"), new Letters("b")];
  a.wanted.add("a1");
  const keys = new Set(["a1", "a2", "b1", "c1"]);
  sweeper.listed(keys);
  // Once at a time, however many lists show it.
  sweeper.listed(keys);
  await clock.advance(0);
  expect([a.asked, b.asked]).toEqual([["a2"], ["b1"]]);
  sweeper.listed(null);
});

test("it lists by itself for as long as something may still arrive, and then leaves no timer", async () => {
  const a = new Letters("a");
  a.expecting = true;
  sweeper.expect();
  await clock.advance(ttlMs);
  expect(lists).toBe(3);
  stored.add("a-late");
  await clock.advance(ttlMs / 3);
  expect(stored).toEqual(new Set());
  a.expecting = false;
  await clock.advance(ttlMs);
  expect(lists).toBe(5);
  expect(clock.pending).toBe(0);
});

test("a deletion that is not acknowledged is tried until it is", async () => {
  let tries = 0;
  sweeper.owe(async () => {
    tries += 1;
    if (tries < 3) throw new Error("out of reach");
  });
  expect(tries, "not at once").toBe(0);
  await clock.advance(10_000);
  expect(tries).toBe(3);
  expect(clock.pending).toBe(0);
});

test("what is overdue is removed in time, and tried again while the store is out of reach", async () => {
  const a = new Letters("a");
  a.late = ["a1"];
  a.reachable = false;
  sweeper.lookAt(500);
  await clock.advance(499);
  expect(a.asked).toEqual([]);
  await clock.advance(1_500);
  expect(a.asked).toEqual(["a1", "a1"]);
  a.reachable = true;
  await clock.advance(1_000);
  expect(a.asked).toEqual(["a1", "a1", "a1"]);
  expect(lists, "there is nothing to expect").toBe(0);
  expect(clock.pending).toBe(0);
});

test("the keys of a lease that is used are listed once in its ttl", async () => {
  for (let i = 0; i < 10; i++) {
    sweeper.used(lease);
    await clock.advance(ttlMs / 2);
  }
  expect(lists).toBe(4);
});
