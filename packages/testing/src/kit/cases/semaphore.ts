import assert from "node:assert/strict";

import { createFencingGuard, type Lease } from "@leasehold/core";

import type { Case } from "../case.ts";
import { finish, settle } from "../settle.ts";

/** Semaphores and read-write locks, as users meet them. */
export const semaphoreCases: readonly Case[] = [
  {
    name: "permits are shared, weighed, and given back",
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const [mine, theirs] = [a, b].map(({ coordinator }) => coordinator.semaphore(name, { permits: 5 }));
      const two = await mine!.acquire({ permits: 2 });
      const three = await theirs!.acquire({ permits: 3 });
      assert.equal(await mine!.tryAcquire(), null);
      await two.release();
      assert.equal(await theirs!.tryAcquire({ permits: 3 }), null, "two are free");
      const again = await theirs!.tryAcquire({ permits: 2 });
      assert.ok(again?.isHeld() && three.isHeld());
      assert.equal(await mine!.tryAcquire(), null);
      const { holders } = await a.coordinator.inspect(name, { recipe: "semaphore" });
      assert.deepEqual(
        holders.map(({ weight }) => weight),
        [3, 2],
      );
      assert.equal(
        (await a.coordinator.inspect(name)).holders.length,
        0,
        "a lock of that name is another resource",
      );
    },
  },
  {
    name: "many light claims do not starve a heavy one",
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator, events } = await fixture.process();
      const semaphore = coordinator.semaphore(name, { permits: 3 });
      const order: string[] = [];
      const first = await semaphore.acquire();
      const waiting: Promise<unknown>[] = [];
      for (const [label, permits] of [
        ["heavy", 3],
        ["light", 1],
        ["light", 1],
      ] as const) {
        const before = events.filter(({ type }) => type === "queued").length;
        waiting.push(semaphore.run(() => void order.push(label), { permits }));
        await fixture.until(
          "in line",
          2_000,
          () => events.filter(({ type }) => type === "queued").length > before,
        );
      }
      await first.release();
      await finish(fixture, Promise.all(waiting));
      assert.deepEqual(order, ["heavy", "light", "light"]);
    },
  },
  {
    name: "another number of permits is refused while the semaphore is in use",
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process();
      const held = await coordinator.semaphore(name, { permits: 3 }).acquire();
      const other = coordinator.semaphore(name, { permits: 4 });
      await assert.rejects(other.acquire(), { code: "SHAPE_MISMATCH" });
      await assert.rejects(other.tryAcquire({ permits: 5 }), { code: "INVALID_ARGUMENT" });
      for (const permits of [0, -1, 1.5, Number.NaN, 2 ** 31])
        assert.throws(() => coordinator.semaphore(name, { permits }), { code: "INVALID_ARGUMENT" });
      await held.release();
      assert.ok((await other.acquire({ permits: 4 })).isHeld());
    },
  },
  {
    name: "readers read together; a writer waits for those before it, and those after it wait",
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator, events } = await fixture.process();
      const { read, write } = coordinator.readWriteLock(name);
      const early = await Promise.all([read.acquire(), read.acquire(), read.acquire()]);
      const joined = async (count: number): Promise<void> =>
        fixture.until(
          "in line",
          2_000,
          () => events.filter(({ type }) => type === "queued").length === count,
        );
      const order: string[] = [];
      const enter = (who: string) => (lease: Lease) => {
        order.push(who);
        return lease;
      };
      const writer = write.acquire().then(enter("writer"));
      await joined(1);
      const late = [read.acquire().then(enter("reader")), read.acquire().then(enter("reader"))];
      await joined(3);
      assert.equal(await read.tryAcquire(), null, "nobody passes the writer");
      for (const reader of early) {
        assert.deepEqual(order, []);
        await reader.release();
      }
      const writing = await finish(fixture, writer);
      await fixture.elapse(20);
      assert.deepEqual(order, ["writer"]);
      const guard = createFencingGuard();
      guard.claim(writing.fencingToken);
      await writing.release();
      for (const lease of await finish(fixture, Promise.all(late))) guard.check(lease.fencingToken);
      assert.deepEqual(order, ["writer", "reader", "reader"]);
    },
  },
  {
    name: "an operator evicts a holder: it is told, its body is awaited, and the next one enters",
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const steps: string[] = [];
      const running = settle(
        a.coordinator.lock(name).run(async ({ signal }) => {
          steps.push("in");
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          steps.push("told");
        }),
      );
      await fixture.until("in", 2_000, () => steps.length === 1);
      const next = b.coordinator.lock(name).acquire();
      const { holders } = await b.coordinator.inspect(name);
      assert.equal(await b.coordinator.evict(name, holders[0]!.owner), true);
      assert.ok((await finish(fixture, next)).isHeld());
      assert.deepEqual(steps, ["in", "told"]);
      await fixture.until("run settled", 2_000, running.isSettled);
      assert.equal((running.error() as { reason?: string }).reason, "evicted");
      assert.equal(await b.coordinator.evict(name, fixture.owner()), false);
      await assert.rejects(b.coordinator.evict(name, "somebody"), { code: "INVALID_ARGUMENT" });
    },
  },
];
