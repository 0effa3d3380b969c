import assert from "node:assert/strict";

import { assign, type Member } from "@leasehold/core";

import type { Case } from "../case.ts";

/** Who is there. */
export const membershipCases: readonly Case[] = [
  {
    name: "members are those who joined and have not left, in order of joining",
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const workers = a.coordinator.membership(name);
      assert.deepEqual(await workers.members(), []);
      const one = await workers.join({ value: "10.0.0.1" });
      const two = await b.coordinator.membership(name).join({ value: "10.0.0.2" });
      assert.deepEqual(
        (await workers.members()).map(({ id, value, term }) => [id, value, term]),
        [
          [one.owner, "10.0.0.1", one.fencingToken],
          [two.owner, "10.0.0.2", two.fencingToken],
        ],
      );
      await one.release();
      assert.deepEqual(
        (await workers.members()).map(({ value }) => value),
        ["10.0.0.2"],
      );
      await assert.rejects(workers.join({ value: "x".repeat(4_096) }), { code: "INVALID_ARGUMENT" });
    },
  },
  {
    name: "observers see members come, leave and die",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b, observer] = [
        await fixture.process(),
        await fixture.processBehindLink(),
        await fixture.process(),
      ];
      const stop = new AbortController();
      const seen: string[] = [];
      const read = async (): Promise<void> => {
        for await (const members of observer.coordinator.membership(name).observe({ signal: stop.signal }))
          seen.push(members.map(({ value }: Member) => value).join("+"));
      };
      void read();
      await fixture.until("nobody", 2_000, () => seen.length === 1);
      const one = await a.coordinator.membership(name).join({ value: "a" });
      await fixture.until("one", 2_000, () => seen.at(-1) === "a");
      await b.coordinator.membership(name).join({ value: "b" });
      await fixture.until("two", 2_000, () => seen.at(-1) === "a+b");
      b.link.cut();
      await fixture.until("one died", fixture.ttlMs + 3_000, () => seen.at(-1) === "a");
      await one.release();
      await fixture.until("nobody", 2_000, () => seen.at(-1) === "");
      stop.abort();
      assert.deepEqual(seen, ["", "a", "a+b", "a", ""]);
      await b.link.heal();
    },
  },
  {
    name: "all who see the same members share work out alike",
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process();
      const workers = coordinator.membership(name);
      for (const value of ["a", "b", "c"]) await workers.join({ value });
      const keys = Array.from({ length: 60 }, (_, i) => `shard-${i}`);
      const values = (await workers.members()).map(({ value }) => value);
      const shares = assign(values, keys);
      assert.deepEqual([...shares.values()].flat().toSorted(), keys.toSorted());
      assert.deepEqual(assign(values.toReversed(), keys).get("b"), shares.get("b"));
    },
  },
];
