import assert from "node:assert/strict";

import { isLeaseholdError, type Lease } from "@leasehold/core";

import type { Process, Fixture } from "../fixture.ts";
import type { Case } from "../case.ts";
import { finish, settle } from "../settle.ts";

/** The lock, as users meet it. */
export const lockCases: readonly Case[] = [
  {
    name: "a lease tells what it is, renews itself, and is released once",
    run: async (fixture) => {
      const { coordinator, events } = await fixture.process();
      const name = fixture.name();
      const lease = await coordinator.lock(name).acquire({ metadata: { job: "nightly" } });
      assert.equal(lease.name, name);
      assert.match(lease.owner, /^[0-9a-f]{32}$/);
      assert.ok(lease.fencingToken > 0n && lease.isHeld() && !lease.signal.aborted);
      assert.ok(
        lease.remainingMs > 0 && lease.remainingMs < fixture.ttlMs,
        "less than the ttl: the margin is off",
      );
      await fixture.elapse(fixture.ttlMs * 3);
      lease.assertHeld();
      const { holders, line } = await coordinator.inspect(name);
      assert.deepEqual(line, []);
      assert.equal(holders[0]?.fencingToken, lease.fencingToken);
      assert.deepEqual({ ...holders[0]?.origin?.metadata }, { job: "nightly" });
      assert.equal(holders[0]?.origin?.pid, process.pid);
      const [one, two] = await Promise.all([lease.release(), lease.release()]);
      assert.deepEqual([one, two, await lease.release()], ["released", "released", "released"]);
      assert.ok(
        !lease.isHeld() && lease.remainingMs === 0 && !lease.signal.aborted,
        "over, and nothing was lost",
      );
      assert.throws(() => lease.assertHeld(), { code: "LEASE_LOST", reason: "released" });
      const told = events.map(({ type }) => type);
      assert.deepEqual([told[0], told.at(-1)], ["acquired", "released"]);
      assert.ok(told.includes("renewed"));
    },
  },
  {
    name: "processes take turns in order of arrival, with growing tokens",
    run: async (fixture) => {
      const name = fixture.name();
      const processes = [await fixture.process(), await fixture.process(), await fixture.process()];
      const order: number[] = [];
      const tokens: bigint[] = [];
      const first = await processes[0]!.coordinator.lock(name).acquire();
      const turns = [];
      for (const turn of [1, 2, 0, 1, 2, 2, 0]) {
        const { coordinator, events } = processes[turn]!;
        const queuedBefore = events.filter(({ type }) => type === "queued").length;
        turns.push(
          coordinator.lock(name).run((lease) => {
            order.push(turn);
            tokens.push(lease.fencingToken);
          }),
        );
        const isQueued = (): boolean => events.filter(({ type }) => type === "queued").length > queuedBefore;
        await fixture.until("in line", 2_000, isQueued);
      }
      await first.release();
      await all(fixture, turns);
      assert.deepEqual(order, [1, 2, 0, 1, 2, 2, 0]);
      for (let i = 1; i < tokens.length; i++) assert.ok(tokens[i]! > tokens[i - 1]!);
    },
  },
  {
    name: "a release hands over by push, without waiting for anybody's renewal",
    run: async (fixture) => {
      const name = fixture.name();
      const ttlMs = fixture.ttlMs * 30;
      const [a, b] = [await fixture.process({ ttlMs }), await fixture.process({ ttlMs })];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await fixture.inLine(b);
      let lease: Lease | undefined;
      void waiting.then((granted) => (lease = granted));
      await held.release();
      await fixture.until("handed over", 1_000, () => lease !== undefined);
      assert.ok(lease!.isHeld());
    },
  },
  {
    name: "tryAcquire is null while it is held or waited for, and a lease when it is free",
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const held = await a.coordinator.lock(name).tryAcquire();
      assert.ok(held !== null && held.isHeld());
      assert.equal(await b.coordinator.lock(name).tryAcquire(), null);
      assert.equal(await a.coordinator.lock(name).tryAcquire(), null, "no ambient re-entrancy");
      await assert.rejects(b.coordinator.lock(name).acquire({ waitMs: 0 }), { code: "ACQUIRE_TIMEOUT" });
      await held.release();
      const again = await b.coordinator.lock(name).tryAcquire();
      assert.ok(again !== null && again.fencingToken > held.fencingToken);
    },
  },
  {
    name: "a wait that times out says so at once, and leaves no claim",
    run: async (fixture) => {
      const name = fixture.name();
      // So long a ttl that expiry cannot do the clean-up's work.
      const ttlMs = fixture.ttlMs * 30;
      const open = (): Promise<Process> => fixture.process({ ttlMs });
      const [a, b, c] = [await open(), await open(), await open()];
      const held = await a.coordinator.lock(name).acquire();
      const failure = settle(b.coordinator.lock(name).acquire({ waitMs: fixture.ttlMs / 2 }));
      await fixture.elapse(fixture.ttlMs);
      assert.ok(isLeaseholdError(failure.error(), "ACQUIRE_TIMEOUT"), String(failure.error()));
      const isAlone = async (): Promise<boolean> => (await a.coordinator.inspect(name)).line.length === 0;
      await fixture.until("the claim left the line", 2_000, isAlone);
      const next = c.coordinator.lock(name).acquire();
      await held.release();
      assert.ok((await finish(fixture, next)).isHeld(), "the next in line is not kept waiting");
    },
  },
  {
    name: "an aborted wait rejects at once with the signal's own reason, and leaves no claim",
    run: async (fixture) => {
      const name = fixture.name();
      // So long a ttl that expiry cannot do the clean-up's work.
      const ttlMs = fixture.ttlMs * 30;
      const [a, b] = [await fixture.process({ ttlMs }), await fixture.process({ ttlMs })];
      const reason = new Error("changed my mind");
      await assert.rejects(a.coordinator.lock(name).acquire({ signal: AbortSignal.abort(reason) }), reason);
      await a.coordinator.lock(name).acquire();
      const aborter = new AbortController();
      const failure = settle(b.coordinator.lock(name).acquire({ signal: aborter.signal, waitMs: Infinity }));
      await fixture.inLine(b);
      aborter.abort(reason);
      await Promise.resolve();
      await fixture.elapse(0);
      assert.equal(failure.error(), reason);
      const isAlone = async (): Promise<boolean> => (await a.coordinator.inspect(name)).line.length === 0;
      await fixture.until("the claim left the line", 2_000, isAlone);
    },
  },
  {
    name: "run answers what the body returns, and lets the body's own error through",
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator, events } = await fixture.process();
      const lock = coordinator.lock(name);
      assert.equal(await lock.run(async (lease) => (lease.isHeld() ? "worked" : "not held")), "worked");
      const failure = new RangeError("the body's own");
      await assert.rejects(
        lock.run(() => {
          throw failure;
        }),
        failure,
      );
      assert.equal(events.filter(({ type }) => type === "released").length, 2, "released after either end");
      assert.ok((await lock.tryAcquire())?.isHeld(), "free again");
    },
  },
  {
    name: "close ends waits with CLOSED, tells holders, awaits bodies, and releases",
    run: async (fixture) => {
      const name = fixture.name();
      const other = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const lease = await a.coordinator.lock(name).acquire();
      const waiting = settle(b.coordinator.lock(name).acquire());
      const steps: string[] = [];
      const working = b.coordinator.lock(other).run(async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        steps.push("body told");
        await fixture.harness.elapse(1);
        steps.push("body ended");
        return "result";
      });
      await fixture.inLine(b);
      await fixture.until("working", 2_000, () => b.events.some(({ type }) => type === "acquired"));
      await finish(fixture, b.coordinator.close());
      assert.ok(isLeaseholdError(waiting.error(), "CLOSED"), String(waiting.error()));
      assert.equal(await finish(fixture, working), "result", "the lease was good until the body had ended");
      assert.deepEqual(steps, ["body told", "body ended"]);
      assert.throws(() => b.coordinator.lock(name), { code: "CLOSED" });
      await assert.rejects(b.coordinator.inspect(name), { code: "CLOSED" });
      assert.ok((await a.coordinator.lock(other).tryAcquire())?.isHeld(), "released by close");
      assert.ok(lease.isHeld());
      await finish(fixture, a.coordinator.close());
      assert.equal(isLeaseholdError(lease.signal.reason, "CLOSED"), true);
      assert.ok(!lease.isHeld());
    },
  },
  {
    name: "a body that outlives a close keeps its name for what is left of its ttl",
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process({ graceMs: 50 }), await fixture.process()];
      const { promise, resolve } = Promise.withResolvers<void>();
      const working = a.coordinator.lock(name).run(() => promise);
      await fixture.until("working", 2_000, () => a.events.some(({ type }) => type === "acquired"));
      await finish(fixture, a.coordinator.close());
      assert.ok(
        a.events.some(({ type }) => type === "stuck"),
        "and is reported",
      );
      assert.equal(await b.coordinator.lock(name).tryAcquire(), null, "it may still be at work");
      resolve();
      await working.catch(() => {});
      const next = await finish(fixture, b.coordinator.lock(name).acquire(), fixture.ttlMs + 2_000);
      assert.ok(next.isHeld());
    },
  },
  {
    name: "bad arguments are refused at the call",
    run: async (fixture) => {
      const { coordinator } = await fixture.process();
      const lock = coordinator.lock(fixture.name());
      const invalid = { code: "INVALID_ARGUMENT" };
      for (const name of ["", "x".repeat(513), "é".repeat(257), undefined, 7, null])
        assert.throws(() => coordinator.lock(name as string), invalid);
      for (const ttlMs of [0, -1, 1.5, Number.NaN, Infinity, 1, 2 ** 31, "1000" as unknown as number])
        await assert.rejects(lock.acquire({ ttlMs }), invalid);
      for (const waitMs of [-1, Number.NaN, "5" as unknown as number])
        await assert.rejects(lock.acquire({ waitMs }), invalid);
      await assert.rejects(lock.acquire({ metadata: { note: "x".repeat(4_096) } }), invalid);
      await assert.rejects(lock.acquire({ metadata: { depth: {} as string } }), invalid);
      await assert.rejects(lock.acquire({ signal: {} as AbortSignal }), invalid);
      await assert.rejects(lock.run(undefined as unknown as () => void), invalid);
      assert.ok((await lock.tryAcquire())?.isHeld(), "and nothing was joined by them");
    },
  },
];

async function all(fixture: Fixture, promises: Promise<unknown>[]): Promise<void> {
  await finish(fixture, Promise.all(promises));
}
