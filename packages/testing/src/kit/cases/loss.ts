import assert from "node:assert/strict";

import { isLeaseholdError } from "@leasehold/core";

import type { Case } from "../case.ts";
import { finish, settle } from "../settle.ts";

const resourceOf = (name: string): string => `default:lock:${name}`;

/** Leases whose claim is gone from the store. */
export const lossCases: readonly Case[] = [
  {
    name: "after a blocked event loop the first look says lost, in the same tick",
    alone: true,
    run: async (fixture) => {
      const { coordinator } = await fixture.process();
      const lease = await coordinator.lock(fixture.name()).acquire();
      fixture.block(fixture.ttlMs * 2);
      assert.equal(lease.isHeld(), false);
      assert.equal(lease.remainingMs, 0);
      assert.throws(() => lease.assertHeld(), { code: "LEASE_LOST", reason: "expired" });
      assert.ok(lease.signal.aborted, "the look itself raised the alarm");
    },
  },
  {
    name: "a grant that is read after its claim's deadline is not handed out (R4)",
    alone: true,
    run: async (fixture) => {
      const name = fixture.name();
      const holder = await fixture.peer();
      const { coordinator, events } = await fixture.process();
      const ttlMs = fixture.ttlMs * 20;
      const held = await fixture.granted(holder, fixture.request(resourceOf(name), { ttlMs }));
      const waiting = settle(coordinator.lock(name).acquire());
      await fixture.until("in line", 2_000, () => events.some(({ type }) => type === "queued"));
      // The release leaves, and its push comes, while this process can do nothing.
      const releasing = fixture.release(holder, held);
      fixture.block(fixture.ttlMs * 2);
      assert.equal(await finish(fixture, releasing), true);
      await fixture.until("told", 3_000, waiting.isSettled);
      assert.ok(isLeaseholdError(waiting.error(), "LEASE_LOST"), String(waiting.error()));
      assert.ok(!events.some(({ type }) => type === "acquired"), "it was not believed for a moment");
    },
  },
  {
    name: "a claim deleted by hand is reported within one renewal period, and the lock can be had again",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator, events } = await fixture.process();
      const lease = await coordinator.lock(name).acquire();
      await fixture.store.deleteClaim(resourceOf(name), lease.owner);
      await fixture.until("told", fixture.ttlMs / 3 + 500, () => lease.signal.aborted);
      assert.ok(isLeaseholdError(lease.signal.reason, "LEASE_LOST"));
      assert.ok(!lease.isHeld());
      assert.throws(() => lease.assertHeld(), { code: "LEASE_LOST", reason: "gone" });
      assert.ok(events.some((event) => event.type === "lost" && event.reason === "gone"));
      assert.equal(await lease.release(), "gone");
      const again = await coordinator.lock(name).acquire();
      assert.ok(again.isHeld() && again.fencingToken > lease.fencingToken);
    },
  },
  {
    name: "run aborts its body on loss, awaits it, and rejects with LEASE_LOST",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process();
      const steps: string[] = [];
      const running = settle(
        coordinator.lock(name).run(async (lease) => {
          await fixture.store.deleteClaim(resourceOf(name), lease.owner);
          await new Promise((resolve) => lease.signal.addEventListener("abort", resolve, { once: true }));
          steps.push("told");
          await fixture.store.deleteClaim(resourceOf(name), lease.owner);
          steps.push("ended");
          return "lost on the way";
        }),
      );
      await fixture.until("settled", fixture.ttlMs + 2_000, running.isSettled);
      assert.deepEqual(steps, ["told", "ended"]);
      assert.ok(isLeaseholdError(running.error(), "LEASE_LOST"), String(running.error()));
    },
  },
  {
    name: "the body's own error wins over the loss of its lease",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process();
      const own = new RangeError("the body's own");
      const running = settle(
        coordinator.lock(name).run(async (lease) => {
          await fixture.store.deleteClaim(resourceOf(name), lease.owner);
          await new Promise((resolve) => lease.signal.addEventListener("abort", resolve, { once: true }));
          throw own;
        }),
      );
      await fixture.until("settled", fixture.ttlMs + 2_000, running.isSettled);
      assert.equal(running.error(), own);
    },
  },
  {
    name: "a body that ends on a lease the store has lost is told, even before any renewal",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process({ ttlMs: fixture.ttlMs * 30 });
      const running = coordinator.lock(name).run(async (lease) => {
        await fixture.store.deleteClaim(resourceOf(name), lease.owner);
      });
      await assert.rejects(finish(fixture, running), { code: "LEASE_LOST" });
    },
  },
  {
    name: "a waiter whose place was deleted is told, and never handed a grant",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = settle(b.coordinator.lock(name).acquire());
      await fixture.inLine(b);
      const { line } = await a.coordinator.inspect(name);
      await fixture.store.deleteClaim(resourceOf(name), line[0]!.owner);
      await fixture.until("told", fixture.ttlMs / 3 + 1_000, waiting.isSettled);
      assert.ok(isLeaseholdError(waiting.error(), "LEASE_LOST"), String(waiting.error()));
      await held.release();
      assert.ok((await b.coordinator.lock(name).tryAcquire())?.isHeld(), "nobody unknown holds it");
    },
  },
  {
    name: "a release of a lost lease is prompt, idempotent, and says gone",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process();
      const lease = await coordinator.lock(name).acquire();
      await fixture.store.deleteClaim(resourceOf(name), lease.owner);
      assert.deepEqual(await Promise.all([lease.release(), lease.release()]), ["gone", "gone"]);
      await lease[Symbol.asyncDispose]();
      assert.ok(!lease.signal.aborted, "released, not lost: it was given up before the loss was seen");
    },
  },
];
