import assert from "node:assert/strict";

import { isLeaseholdError } from "@leasehold/core";

import type { Case } from "../case.ts";
import { charges, Gate, outcomes, type ChargeOptions } from "../charges.ts";
import { finish, settle, unfailing } from "../settle.ts";

/** What users are promised of `coordinator.idempotency`. */
export const idempotencyCases: readonly Case[] = [
  {
    name: "of 200 racers on one key one executes, and the others get its result or are told of the conflict",
    run: async (fixture) => {
      const processes = [await fixture.process(), await fixture.process()];
      for (const conflict of ["reject", "wait"] as const) {
        const key = fixture.name();
        const scopes = processes.map((process) => charges(process, fixture, { conflict }));
        let executions = 0;
        const racers = Array.from({ length: 200 }, (_, i) =>
          scopes[i % 2]!.run(key, { fingerprint: { amount: 5 } }, async () => {
            await new Promise((resolve) => setImmediate(resolve));
            return { charge: ++executions };
          }),
        );
        const ends = await finish(fixture, Promise.allSettled(racers));
        assert.equal(executions, 1);
        const results = ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
        assert.equal(results.filter(({ replayed }) => !replayed).length, 1);
        for (const { value } of results) assert.deepEqual(value, { charge: 1 });
        for (const end of ends)
          if (end.status === "rejected") {
            assert.ok(isLeaseholdError(end.reason, "IDEMPOTENCY_IN_PROGRESS"), String(end.reason));
            assert.ok((end.reason.retryAfterMs ?? 0) > 0);
          }
        if (conflict === "wait") assert.equal(results.length, 200);
      }
    },
  },
  {
    name: "a result comes back as it was: bytes, dates, bigints, undefined, and members of any name",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const value = {
        bytes: new Uint8Array([0, 255, 10]),
        date: new Date(86_400_000),
        bigint: 2n ** 70n,
        nothing: undefined,
        numbers: [NaN, -0, Infinity, 1.5],
        $: "a member",
        nested: [{ $: { $: null } }, [[]], "\u0000 é \u{1f512}"],
        ["__proto__"]: { polluted: true },
      };
      const key = fixture.name();
      const first = await charges(a, fixture).run(key, {}, () => value);
      const second = await unfailing(charges(b, fixture).run(key, {}, () => assert.fail("executed twice")));
      assert.deepEqual(
        [first.replayed, first.record, second.replayed, second.record],
        [false, "stored", true, "stored"],
      );
      assert.deepEqual(second.value, value);
      assert.deepEqual([second.fencingToken, second.attempt], [first.fencingToken, 1]);
      assert.equal(({} as { polluted?: boolean }).polluted, undefined);
      assert.deepEqual([outcomes(a), outcomes(b)], [["executing", "stored"], ["replayed"]]);
    },
  },
  {
    name: "another payload under a key is refused, while the first executes and after it",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const [key, gate] = [fixture.name(), new Gate()];
      const running = charges(a, fixture).run(key, { fingerprint: { b: 1, a: [2] } }, (context) =>
        gate.pass(context),
      );
      await gate.reached(fixture);
      const other = { fingerprint: { b: 1, a: [3] } };
      const refused = async (): Promise<void> => {
        for (const conflict of ["reject", "wait"] as const) {
          const trying = settle(
            charges(b, fixture, { conflict }).run(key, other, () => assert.fail("executed")),
          );
          await fixture.until("refused", 3_000, trying.isSettled);
          assert.ok(isLeaseholdError(trying.error(), "IDEMPOTENCY_MISMATCH"), String(trying.error()));
        }
      };
      await refused();
      gate.open();
      await running;
      await refused();
      const same = await charges(b, fixture).run(key, { fingerprint: { a: [2], b: 1 } }, () => assert.fail());
      assert.equal(same.replayed, true, "the order of members does not matter");
    },
  },
  {
    name: "the same key in two scopes never meets",
    run: async (fixture) => {
      const { coordinator } = await fixture.process();
      const key = fixture.name();
      const scopes = ["tenant-1", "tenant-2", "tenant-1/", "tenant-1:x"];
      for (const scope of scopes) {
        const { value, replayed } = await coordinator
          .idempotency(scope, { leaseMs: fixture.ttlMs })
          .run(key, {}, () => scope);
        assert.deepEqual([value, replayed], [scope, false]);
      }
    },
  },
  {
    name: "a waiter gets the result by push, long before the lease ends",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const [key, gate] = [fixture.name(), new Gate()];
      const leaseMs = 20 * fixture.ttlMs;
      const running = charges(a, fixture, { leaseMs }).run(key, {}, async (context) => {
        await gate.pass(context);
        return 7;
      });
      await gate.reached(fixture);
      const waiting = Array.from({ length: 3 }, () =>
        charges(b, fixture, { leaseMs, conflict: "wait" }).run(key, {}, () => assert.fail("executed twice")),
      );
      const watched = waiting.map(settle);
      await fixture.elapse(50);
      assert.ok(watched.every(({ isSettled }) => !isSettled()));
      gate.open();
      await running;
      await fixture.until("pushed", 2_000, () => watched.every(({ isSettled }) => isSettled()));
      for (const { value, replayed } of await Promise.all(waiting))
        assert.deepEqual([value, replayed], [7, true]);
    },
  },
  {
    name: "a waiter executes when the first one released, and only one of them",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const [key, gate] = [fixture.name(), new Gate()];
      const leaseMs = 20 * fixture.ttlMs;
      const options: ChargeOptions = { leaseMs, classifyError: () => "released" };
      const running = settle(
        charges(a, fixture, options).run(key, {}, async (context) => {
          await gate.pass(context);
          throw new Error("nothing happened");
        }),
      );
      await gate.reached(fixture);
      let executions = 0;
      const waiting = Array.from({ length: 3 }, () =>
        charges(b, fixture, { leaseMs, conflict: "wait" }).run(key, {}, ({ attempt }) => ({
          n: ++executions,
          attempt,
        })),
      );
      await fixture.elapse(50);
      gate.open();
      for (const { value } of await finish(fixture, Promise.all(waiting)))
        assert.deepEqual(value, { n: 1, attempt: 2 });
      assert.equal((running.error() as Error).message, "nothing happened", "the handler's own error wins");
    },
  },
  {
    name: "a wait ends in time, and at once when it is aborted, and leaves nothing",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const [key, gate] = [fixture.name(), new Gate()];
      const running = charges(a, fixture).run(key, {}, (context) => gate.pass(context));
      await gate.reached(fixture);
      const late = settle(
        charges(b, fixture, { conflict: "wait", waitMs: 100 }).run(key, {}, () => undefined),
      );
      await fixture.until("the wait is over", 2_000, late.isSettled);
      assert.ok(isLeaseholdError(late.error(), "IDEMPOTENCY_IN_PROGRESS"), String(late.error()));
      const caller = new AbortController();
      const { signal } = caller;
      const aborted = settle(charges(b, fixture, { conflict: "wait" }).run(key, { signal }, () => undefined));
      await fixture.elapse(50);
      const reason = new Error("gone home");
      caller.abort(reason);
      await fixture.until("the wait is over", 50, aborted.isSettled);
      assert.equal(aborted.error(), reason);
      gate.open();
      assert.equal((await running).record, "stored");
    },
  },
];
