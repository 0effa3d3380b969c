import assert from "node:assert/strict";

import { isLeaseholdError, type LeaseholdEvent } from "@leasehold/core";

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
      const waiting = coordinator.lock(name).acquire();
      await fixture.until("in line", 2_000, () => events.some(({ type }) => type === "queued"));
      // The release leaves, and its push comes, while this process can do nothing.
      const releasing = fixture.release(holder, held);
      fixture.block(fixture.ttlMs * 2);
      assert.equal(await finish(fixture, releasing), true);
      // The dead claim is not believed for a moment: its caller joins again, as another owner.
      const lease = await finish(fixture, waiting);
      const [queued, ...rest] = claimsOf(events);
      const rejoined = lease.owner.slice(0, 8);
      assert.deepEqual(rest, [
        { type: "requeued", claim: rejoined, before: queued?.claim },
        { type: "granted", claim: rejoined },
        { type: "acquired", claim: rejoined },
      ]);
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
    name: "a waiter whose place was deleted joins again, behind those who are there by now",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b, c] = [await fixture.process(), await fixture.process(), await fixture.process()];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await fixture.inLine(b);
      const next = c.coordinator.lock(name).acquire();
      await fixture.inLine(c);
      const { line } = await a.coordinator.inspect(name);
      const deleted = line[0]!.owner;
      await fixture.store.deleteClaim(resourceOf(name), deleted);
      const inLine = async (): Promise<number> => (await a.coordinator.inspect(name)).line.length;
      await fixture.until("in line again", fixture.ttlMs / 3 + 1_000, async () => (await inLine()) === 2);
      await held.release();
      const first = await finish(fixture, next);
      await first.release();
      const lease = await finish(fixture, waiting);
      assert.ok(lease.isHeld() && lease.fencingToken > first.fencingToken);
      assert.notEqual(lease.owner, deleted, "the old claim is over: it is another one (R1, R5)");
      const claim = lease.owner.slice(0, 8);
      assert.deepEqual(claimsOf(b.events)[1], { type: "requeued", claim, before: deleted.slice(0, 8) });
      await lease.release();
      assert.ok((await a.coordinator.lock(name).tryAcquire())?.isHeld(), "nobody unknown holds it");
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

/** What was told of claims, without names and times. */
function claimsOf(events: readonly LeaseholdEvent[]): { type: string; claim: string; before?: string }[] {
  return events.flatMap((event) => {
    if (!("claim" in event)) return [];
    const { type, claim } = event;
    return [type === "requeued" ? { type, claim, before: event.before } : { type, claim }];
  });
}
