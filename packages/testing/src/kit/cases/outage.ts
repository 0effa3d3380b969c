import assert from "node:assert/strict";

import { isLeaseholdError } from "@leasehold/core";

import type { Case } from "../case.ts";
import { finish, settle } from "../settle.ts";

/** The store as a whole fails. These cases run alone. */
export const outageCases: readonly Case[] = [
  {
    name: "a store that stops answering ends every belief in time, and serves again when it is back",
    needs: ["pause"],
    alone: true,
    run: async (fixture) => {
      const name = fixture.name();
      const a = await fixture.process();
      const lease = await a.coordinator.lock(name).acquire();
      await fixture.store.pause();
      try {
        await fixture.until("told", fixture.ttlMs + 500, () => lease.signal.aborted);
        const failed = settle(a.coordinator.lock(name).acquire({ waitMs: 300 }));
        await fixture.until("settled", 800, failed.isSettled);
        assert.ok(isLeaseholdError(failed.error()), String(failed.error()));
      } finally {
        await fixture.store.resume();
      }
      const again = await finish(fixture, a.coordinator.lock(name).acquire());
      assert.ok(again.isHeld() && again.fencingToken > lease.fencingToken);
    },
  },
  {
    name: "a store killed and restarted with its data keeps the line",
    needs: ["restart"],
    alone: true,
    run: async (fixture) => {
      const name = fixture.name();
      const ttlMs = fixture.ttlMs * 10;
      const [a, b] = [await fixture.process({ ttlMs }), await fixture.process({ ttlMs })];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await fixture.inLine(b);
      await fixture.store.kill();
      await fixture.store.start({ wipe: false });
      await fixture.until("the holder is back", ttlMs, () => a.events.some(({ type }) => type === "renewed"));
      assert.ok(held.isHeld());
      assert.equal(await finish(fixture, held.release()), "released");
      const lease = await finish(fixture, waiting, ttlMs);
      assert.ok(lease.isHeld() && lease.fencingToken > held.fencingToken);
    },
  },
  {
    name: "a store restarted without its data: holders are told, waiters join again, and tokens grow",
    needs: ["restart"],
    alone: true,
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await fixture.inLine(b);
      await fixture.store.kill();
      await fixture.store.start({ wipe: true });
      await fixture.until("the holder is told", fixture.ttlMs + 500, () => held.signal.aborted);
      const again = await finish(fixture, waiting, fixture.ttlMs + 10_000);
      assert.ok(again.isHeld());
      assert.ok(again.fencingToken > held.fencingToken, "tokens never go back");
      assert.equal(b.events.filter(({ type }) => type === "requeued").length, 1);
    },
  },
  {
    name: "a flush is told to holders within one renewal period, waiters join again, and tokens never go back",
    needs: ["flush"],
    alone: true,
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await fixture.inLine(b);
      await fixture.store.flush();
      await fixture.until("the holder is told", fixture.ttlMs / 3 + 500, () => held.signal.aborted);
      const again = await finish(fixture, waiting, fixture.ttlMs / 3 + 1_000);
      assert.ok(again.isHeld() && again.fencingToken > held.fencingToken);
      const requeued = b.events.find((event) => event.type === "requeued");
      assert.equal(requeued?.claim, again.owner.slice(0, 8), "as another owner (R1)");
    },
  },
  {
    name: "while the store is down, calls fail in time and a release is prompt",
    needs: ["restart"],
    alone: true,
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process({ ttlMs: fixture.ttlMs * 10 });
      const lease = await coordinator.lock(name).acquire();
      await fixture.store.kill();
      try {
        const failed = settle(coordinator.lock(fixture.name()).acquire({ waitMs: 500 }));
        const releasing = settle(lease.release());
        await fixture.until("both settled", 1_500, () => failed.isSettled() && releasing.isSettled());
        for (const { error } of [failed, releasing])
          assert.ok(
            isLeaseholdError(error(), "BACKEND_UNAVAILABLE") || isLeaseholdError(error(), "OUTCOME_UNKNOWN"),
            String(error()),
          );
        assert.ok(!lease.isHeld());
      } finally {
        await fixture.store.start({ wipe: false });
      }
    },
  },
];
