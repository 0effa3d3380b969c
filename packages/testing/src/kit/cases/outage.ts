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
    run: async (stage) => {
      const name = stage.name();
      const a = await stage.process();
      const lease = await a.coordinator.lock(name).acquire();
      await stage.store.pause();
      try {
        await stage.until("told", stage.ttlMs + 500, () => lease.signal.aborted);
        const failed = settle(a.coordinator.lock(name).acquire({ waitMs: 300 }));
        await stage.until("settled", 800, failed.isSettled);
        assert.ok(isLeaseholdError(failed.error()), String(failed.error()));
      } finally {
        await stage.store.resume();
      }
      const again = await finish(stage, a.coordinator.lock(name).acquire());
      assert.ok(again.isHeld() && again.fencingToken > lease.fencingToken);
    },
  },
  {
    name: "a store killed and restarted with its data keeps the line",
    needs: ["restart"],
    alone: true,
    run: async (stage) => {
      const name = stage.name();
      const ttlMs = stage.ttlMs * 10;
      const [a, b] = [await stage.process({ ttlMs }), await stage.process({ ttlMs })];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await stage.inLine(b);
      await stage.store.kill();
      await stage.store.start({ wipe: false });
      await stage.until("the holder is back", ttlMs, () => a.events.some(({ type }) => type === "renewed"));
      assert.ok(held.isHeld());
      assert.equal(await finish(stage, held.release()), "released");
      const lease = await finish(stage, waiting, ttlMs);
      assert.ok(lease.isHeld() && lease.fencingToken > held.fencingToken);
    },
  },
  {
    name: "a store restarted without its data: everybody is told, tokens grow, and the lock can be had",
    needs: ["restart"],
    alone: true,
    run: async (stage) => {
      const name = stage.name();
      const [a, b] = [await stage.process(), await stage.process()];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = settle(b.coordinator.lock(name).acquire());
      await stage.inLine(b);
      await stage.store.kill();
      await stage.store.start({ wipe: true });
      await stage.until("the holder is told", stage.ttlMs + 500, () => held.signal.aborted);
      await stage.until("the waiter is told", stage.ttlMs + 10_000, waiting.isSettled);
      assert.ok(isLeaseholdError(waiting.error(), "LEASE_LOST"), String(waiting.error()));
      const again = await finish(stage, b.coordinator.lock(name).acquire());
      assert.ok(again.isHeld());
      assert.ok(again.fencingToken > held.fencingToken, "tokens never go back");
    },
  },
  {
    name: "a flush is reported within one renewal period, and tokens never go back",
    needs: ["flush"],
    alone: true,
    run: async (stage) => {
      const name = stage.name();
      const [a, b] = [await stage.process(), await stage.process()];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = settle(b.coordinator.lock(name).acquire());
      await stage.inLine(b);
      await stage.store.flush();
      await stage.until("the holder is told", stage.ttlMs / 3 + 500, () => held.signal.aborted);
      await stage.until("the waiter is told", stage.ttlMs / 3 + 1_000, waiting.isSettled);
      assert.ok(isLeaseholdError(waiting.error(), "LEASE_LOST"), String(waiting.error()));
      const again = await finish(stage, a.coordinator.lock(name).acquire());
      assert.ok(again.isHeld() && again.fencingToken > held.fencingToken);
    },
  },
  {
    name: "while the store is down, calls fail in time and a release is prompt",
    needs: ["restart"],
    alone: true,
    run: async (stage) => {
      const name = stage.name();
      const { coordinator } = await stage.process({ ttlMs: stage.ttlMs * 10 });
      const lease = await coordinator.lock(name).acquire();
      await stage.store.kill();
      try {
        const failed = settle(coordinator.lock(stage.name()).acquire({ waitMs: 500 }));
        const releasing = settle(lease.release());
        await stage.until("both settled", 1_500, () => failed.isSettled() && releasing.isSettled());
        for (const { error } of [failed, releasing])
          assert.ok(
            isLeaseholdError(error(), "BACKEND_UNAVAILABLE") || isLeaseholdError(error(), "OUTCOME_UNKNOWN"),
            String(error()),
          );
        assert.ok(!lease.isHeld());
      } finally {
        await stage.store.start({ wipe: false });
      }
    },
  },
];
