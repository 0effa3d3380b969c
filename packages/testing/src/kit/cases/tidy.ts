import assert from "node:assert/strict";

import type { Case } from "../case.ts";
import { finish, settle } from "../settle.ts";

export const tidyCases: readonly Case[] = [
  {
    name: "whatever the end of an acquire, no claim is left in the store",
    needs: ["leftovers"],
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const names = [fixture.name(), fixture.name(), fixture.name()];
      const endings = names.map(async (name, index) => {
        const lease = await a.coordinator.lock(name).acquire();
        const aborter = new AbortController();
        const waits = [
          settle(b.coordinator.lock(name).acquire({ waitMs: 20 })),
          settle(b.coordinator.lock(name).acquire({ signal: aborter.signal })),
          settle(b.coordinator.lock(name).tryAcquire()),
        ];
        aborter.abort(new Error("enough"));
        if (index > 0) await lease.release();
        return waits;
      });
      const waits = (await finish(fixture, Promise.all(endings))).flat();
      await fixture.until("all settled", 3_000, () => waits.every((wait) => wait.isSettled()));
      await finish(fixture, Promise.all([a.coordinator.close(), b.coordinator.close()]));
      assert.deepEqual(await fixture.store.leftovers(names.map((name) => `default:lock:${name}`)), []);
    },
  },
];
