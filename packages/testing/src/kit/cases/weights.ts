import assert from "node:assert/strict";

import type { Case } from "../case.ts";

const everything = 2 ** 31 - 1;

/** Claims of different weight in one line. */
export const weightCases: readonly Case[] = [
  {
    name: "claims are granted together while their weights fit",
    run: async (stage) => {
      const a = await stage.actor();
      const resource = stage.name();
      const of = (weight: number): { capacity: number; weight: number } => ({ capacity: 5, weight });
      await stage.granted(a, stage.request(resource, of(2)));
      await stage.granted(a, stage.request(resource, of(3)));
      const waiting = await stage.queued(a, stage.request(resource, of(1)));
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
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const capacity = 3;
      const holding = await stage.granted(a, stage.request(resource, { capacity, weight: 2 }));
      const heavy = await stage.queued(b, stage.request(resource, { capacity, weight: 2 }));
      const light = await stage.queued(a, stage.request(resource, { capacity, weight: 1 }));
      const attempt = await a.backend.leases.acquire(
        stage.request(resource, { capacity, weight: 1, queue: false }),
      );
      assert.ok(
        attempt.kind === "refused" && attempt.reason === "held",
        "room is judged over the whole line",
      );
      await stage.release(a, holding);
      await stage.hears(b, heavy);
      await stage.hears(a, light);
    },
  },
  {
    name: "a waiter that leaves makes way for those behind it that fit",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const capacity = 2;
      const ttlMs = stage.ttlMs * 10;
      await stage.granted(a, stage.request(resource, { capacity, ttlMs }));
      const heavy = await stage.queued(a, stage.request(resource, { capacity, weight: 2, ttlMs }));
      const light = await stage.queued(b, stage.request(resource, { capacity, ttlMs }));
      await stage.release(a, heavy);
      await stage.hears(b, light);
    },
  },
  {
    name: "one heavy release grants as many as fit, and no more",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const shape = { capacity: 3, ttlMs: stage.ttlMs * 10 };
      const heavy = await stage.granted(a, stage.request(resource, { ...shape, weight: 3 }));
      const line = [];
      for (let i = 0; i < 5; i++) line.push(await stage.queued(b, stage.request(resource, shape)));
      await stage.release(a, heavy);
      for (const claim of line.slice(0, 3)) await stage.hears(b, claim);
      const standings = await stage.renew(b, ...line);
      const granted = standings.map((standing) => standing.kind === "renewed" && standing.granted);
      assert.deepEqual(granted, [true, true, true, false, false]);
      await stage.release(b, line[1]!);
      await stage.hears(b, line[3]!);
      assert.equal(b.pushes.length, 4);
    },
  },
  {
    name: "readers share, a writer is alone, in order of arrival",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const shape = { capacity: everything, ttlMs: stage.ttlMs * 10 };
      const readers = [];
      for (let i = 0; i < 3; i++) readers.push(await stage.granted(a, stage.request(resource, shape)));
      const writer = await stage.queued(b, stage.request(resource, { ...shape, weight: everything }));
      const late = await stage.queued(a, stage.request(resource, shape));
      for (const reader of readers) {
        assert.deepEqual(b.pushes, [], "not while a reader is in");
        await stage.release(a, reader);
      }
      await stage.hears(b, writer);
      const [behind] = await stage.renew(a, late);
      assert.ok(behind?.kind === "renewed" && !behind.granted, "not beside the writer");
      await stage.release(b, writer);
      await stage.hears(a, late);
    },
  },
];
