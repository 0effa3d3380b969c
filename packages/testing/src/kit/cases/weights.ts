import assert from "node:assert/strict";

import type { Case } from "../case.ts";

const everything = 2 ** 31 - 1;

/** Claims of different weight in one line. */
export const weightCases: readonly Case[] = [
  {
    name: "claims are granted together while their weights fit",
    run: async (fixture) => {
      const a = await fixture.peer();
      const resource = fixture.name();
      const of = (weight: number): { capacity: number; weight: number } => ({ capacity: 5, weight });
      await fixture.granted(a, fixture.request(resource, of(2)));
      await fixture.granted(a, fixture.request(resource, of(3)));
      const waiting = await fixture.queued(a, fixture.request(resource, of(1)));
      const { holders, line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        holders.map(({ weight }) => weight),
        [2, 3],
      );
      assert.deepEqual(
        line.map(({ owner }) => owner),
        [waiting.owner],
      );
    },
  },
  {
    name: "a light claim does not overtake a heavy one that waits",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const capacity = 3;
      const holding = await fixture.granted(a, fixture.request(resource, { capacity, weight: 2 }));
      const heavy = await fixture.queued(b, fixture.request(resource, { capacity, weight: 2 }));
      const light = await fixture.queued(a, fixture.request(resource, { capacity, weight: 1 }));
      const attempt = await a.backend.leases.acquire(
        fixture.request(resource, { capacity, weight: 1, queue: false }),
      );
      assert.ok(
        attempt.kind === "refused" && attempt.reason === "held",
        "room is judged over the whole line",
      );
      await fixture.release(a, holding);
      await fixture.hears(b, heavy);
      await fixture.hears(a, light);
    },
  },
  {
    name: "a waiter that leaves makes way for those behind it that fit",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const capacity = 2;
      const ttlMs = fixture.ttlMs * 10;
      await fixture.granted(a, fixture.request(resource, { capacity, ttlMs }));
      const heavy = await fixture.queued(a, fixture.request(resource, { capacity, weight: 2, ttlMs }));
      const light = await fixture.queued(b, fixture.request(resource, { capacity, ttlMs }));
      await fixture.release(a, heavy);
      await fixture.hears(b, light);
    },
  },
  {
    name: "one heavy release grants as many as fit, and no more",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const shape = { capacity: 3, ttlMs: fixture.ttlMs * 10 };
      const heavy = await fixture.granted(a, fixture.request(resource, { ...shape, weight: 3 }));
      const line = [];
      for (let i = 0; i < 5; i++) line.push(await fixture.queued(b, fixture.request(resource, shape)));
      await fixture.release(a, heavy);
      for (const claim of line.slice(0, 3)) await fixture.hears(b, claim);
      const standings = await fixture.renew(b, ...line);
      const granted = standings.map((standing) => standing.kind === "renewed" && standing.granted);
      assert.deepEqual(granted, [true, true, true, false, false]);
      await fixture.release(b, line[1]!);
      await fixture.hears(b, line[3]!);
      assert.equal(b.pushes.length, 4);
    },
  },
  {
    name: "readers share, a writer is alone, in order of arrival",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const shape = { capacity: everything, ttlMs: fixture.ttlMs * 10 };
      const readers = [];
      for (let i = 0; i < 3; i++) readers.push(await fixture.granted(a, fixture.request(resource, shape)));
      const writer = await fixture.queued(b, fixture.request(resource, { ...shape, weight: everything }));
      const late = await fixture.queued(a, fixture.request(resource, shape));
      for (const reader of readers) {
        assert.deepEqual(b.pushes, [], "not while a reader is in");
        await fixture.release(a, reader);
      }
      await fixture.hears(b, writer);
      const [behind] = await fixture.renew(a, late);
      assert.ok(behind?.kind === "renewed" && !behind.granted, "not beside the writer");
      await fixture.release(b, writer);
      await fixture.hears(a, late);
    },
  },
];
