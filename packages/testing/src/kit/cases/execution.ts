import assert from "node:assert/strict";

import { isLeaseholdError, isStoredFailure } from "@leasehold/core";

import type { Case } from "../case.ts";
import { charges, Gate, outcomes } from "../charges.ts";
import { finish, settle, unfailing } from "../settle.ts";

/** What users are promised of an execution that runs long, fails, is lost, or is taken over. */
export const executionCases: readonly Case[] = [
  {
    name: "a handler that outlasts its lease is extended, and not taken over",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const [key, gate] = [fixture.name(), new Gate()];
      const running = charges(a, fixture).run(key, {}, (context) => gate.pass(context));
      await gate.reached(fixture);
      await fixture.elapse(2.5 * fixture.ttlMs);
      const [context] = gate.contexts;
      assert.ok(context!.remainingMs > 0 && !context!.signal.aborted);
      const second = settle(charges(b, fixture).run(key, {}, () => assert.fail("executed twice")));
      await fixture.until("refused", 2_000, second.isSettled);
      assert.ok(isLeaseholdError(second.error(), "IDEMPOTENCY_IN_PROGRESS"), String(second.error()));
      gate.open();
      const { attempt, record } = await running;
      assert.deepEqual([attempt, record], [1, "stored"]);
    },
  },
  {
    name: "a handler that is stuck is told after maxDurationMs, and then another takes over",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const [key, gate] = [fixture.name(), new Gate()];
      const maxDurationMs = fixture.ttlMs / 2;
      // Something else that keeps whatever the store shares among this process's leases alive.
      await using _ = await a.coordinator.lock(fixture.name()).acquire();
      const stuck = settle(
        charges(a, fixture, { maxDurationMs }).run(key, {}, (context) => gate.pass(context)),
      );
      await gate.reached(fixture);
      await fixture.until("told", fixture.ttlMs, () => gate.contexts[0]!.signal.aborted);
      assert.ok(isLeaseholdError(gate.contexts[0]!.signal.reason, "LEASE_LOST"));
      const next = charges(b, fixture, { conflict: "wait" }).run(key, {}, ({ attempt }) => attempt);
      assert.equal((await finish(fixture, next, 2 * fixture.ttlMs + 2_000)).value, 2);
      gate.open();
      await fixture.until("settled", 2_000, stuck.isSettled);
      assert.ok(isLeaseholdError(stuck.error(), "IDEMPOTENCY_FENCED"), String(stuck.error()));
    },
  },
  {
    name: "an executor cut off past its lease is told, replaced after its lease, and fenced, whatever it says then",
    needs: ["link"],
    run: async (fixture) => {
      const endings = {
        completes: () => "wrong",
        fails: () => {
          throw new Error("declined");
        },
        releases: () => {
          throw new TypeError("nothing happened");
        },
      };
      for (const [name, end] of Object.entries(endings)) {
        const classifyError = (error: unknown): "released" | "stored" =>
          error instanceof TypeError ? "released" : "stored";
        const [a, b] = [await fixture.processBehindLink(), await fixture.process()];
        const [key, gate] = [fixture.name(), new Gate()];
        const late = settle(
          charges(a, fixture, { classifyError }).run(key, {}, async (context) => {
            await gate.pass(context);
            return end();
          }),
        );
        await gate.reached(fixture);
        a.link.cut();
        const { signal } = gate.contexts[0]!;
        await fixture.until("told", fixture.ttlMs + 100, () => signal.aborted);
        assert.ok(isLeaseholdError(signal.reason, "LEASE_LOST"), String(signal.reason));
        const second = charges(b, fixture, { conflict: "wait" }).run(
          key,
          {},
          ({ attempt, fencingToken }) => ({
            attempt,
            fencingToken,
          }),
        );
        const { value, record } = await finish(fixture, second, fixture.ttlMs + 2_000);
        assert.deepEqual([value.attempt, record], [2, "stored"]);
        assert.ok(value.fencingToken > gate.contexts[0]!.fencingToken);
        await a.link.heal();
        gate.open();
        await fixture.until(`${name}, too late`, 10_000, late.isSettled);
        const error = late.error();
        if (name === "completes") assert.ok(isLeaseholdError(error, "IDEMPOTENCY_FENCED"), String(error));
        else assert.match(String(error), /declined|nothing happened/);
        const third = await charges(b, fixture).run(key, {}, () => assert.fail("executed again"));
        assert.deepEqual(third.value, value, `it ${name} late: the second one's result stands`);
        assert.ok(outcomes(a).includes("fenced"), outcomes(a).join());
      }
    },
  },
  {
    name: 'with onExpired "fail" what a lost executor did is told to be unknown, and nobody executes again',
    needs: ["link"],
    run: async (fixture) => {
      const [a, b] = [await fixture.processBehindLink(), await fixture.process()];
      const [key, gate] = [fixture.name(), new Gate()];
      const lost = settle(
        charges(a, fixture, { onExpired: "fail" }).run(key, {}, (context) => gate.pass(context)),
      );
      await gate.reached(fixture);
      a.link.cut();
      const careful = charges(b, fixture, { onExpired: "fail", conflict: "wait" });
      const refused = settle(careful.run(key, {}, () => assert.fail("executed again")));
      await fixture.until("refused", fixture.ttlMs + 3_000, refused.isSettled);
      const told = refused.error();
      assert.ok(isLeaseholdError(told, "OUTCOME_UNKNOWN") && told.permanent, String(told));
      await a.link.heal();
      gate.open();
      await fixture.until("the first one ends", 5_000, lost.isSettled);
      const { replayed } = await careful.run(key, {}, () => assert.fail("executed again"));
      assert.equal(replayed, true, "late, and not replaced: its result counts");
    },
  },
  {
    name: "errors are stored, released or unknown, as they are classified",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const failing = async (disposition: "stored" | "released" | "unknown"): Promise<string> => {
        const key = fixture.name();
        const error = Object.assign(new RangeError("too much"), { code: "declined", secret: "42" });
        // Of an error that nobody has classified nothing is known.
        const options = disposition === "unknown" ? {} : { classifyError: () => disposition };
        const scope = charges(a, fixture, options);
        const thrown = settle(scope.run(key, {}, () => Promise.reject(error)));
        await fixture.until("thrown", 3_000, thrown.isSettled);
        assert.equal(thrown.error(), error);
        return key;
      };
      const stored = settle(charges(b, fixture).run(await failing("stored"), {}, () => assert.fail()));
      await fixture.until("replayed", 3_000, stored.isSettled);
      const failure = stored.error();
      assert.ok(isStoredFailure(failure), String(failure));
      assert.deepEqual([failure.name, failure.message, failure.code], ["RangeError", "too much", "declined"]);
      assert.ok(!JSON.stringify(failure).includes("42"));

      const again = await charges(b, fixture).run(await failing("released"), {}, ({ attempt }) => attempt);
      assert.equal(again.value, 2);

      const unknown = await failing("unknown");
      const conflict = settle(charges(b, fixture).run(unknown, {}, () => assert.fail()));
      await fixture.until("refused", 2_000, conflict.isSettled);
      assert.ok(isLeaseholdError(conflict.error(), "IDEMPOTENCY_IN_PROGRESS"), String(conflict.error()));
      const after = charges(b, fixture, { conflict: "wait" }).run(unknown, {}, ({ attempt }) => attempt);
      assert.equal((await finish(fixture, after, 2 * fixture.ttlMs + 2_000)).value, 2);
    },
  },
  {
    name: "a result that cannot be stored is told, and never executed again",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const results: (() => unknown)[] = [
        () => "x".repeat(2_000),
        () => ({ now: () => 1 }),
        () => new Map([[1, 2]]),
      ];
      for (const result of results) {
        const key = fixture.name();
        const first = await charges(a, fixture, { maxResultBytes: 1_000 }).run(key, {}, result);
        assert.equal(first.record, "not-stored");
        const second = settle(charges(b, fixture).run(key, {}, () => assert.fail("executed again")));
        await fixture.until("told", 2_000, second.isSettled);
        assert.ok(isLeaseholdError(second.error(), "IDEMPOTENCY_RESULT_UNAVAILABLE"), String(second.error()));
      }
    },
  },
  {
    name: "every attempt under one key passes on one key downstream, and no other does",
    run: async (fixture) => {
      const process = await fixture.process();
      const scope = charges(process, fixture, { classifyResult: () => "released" });
      const [key, other] = [fixture.name(), fixture.name()];
      const keys: string[] = [];
      for (const each of [key, key, other])
        await scope.run(each, {}, ({ downstreamKey }) => void keys.push(downstreamKey));
      await process.coordinator
        .idempotency("refunds", { leaseMs: fixture.ttlMs })
        .run(key, {}, ({ downstreamKey }) => void keys.push(downstreamKey));
      assert.equal(keys[0], keys[1]);
      assert.equal(new Set(keys).size, 3);
    },
  },
  {
    name: "a lost reply to begin or to finish costs nothing but asking again",
    needs: ["link"],
    run: async (fixture) => {
      for (const call of ["begin", "finish"] as const) {
        const [a, b] = [await fixture.processBehindLink(), await fixture.process()];
        const key = fixture.name();
        const scope = charges(a, fixture, { leaseMs: 10 * fixture.ttlMs });
        // A connection, and whatever else a first call needs.
        await scope.run(fixture.name(), {}, () => 0);
        let executions = 0;
        let lost: Promise<void> | undefined;
        if (call === "begin") lost = a.link.loseReplyTo(call, fixture.recordOf("charges", key));
        const running = scope.run(key, {}, () => {
          if (call === "finish") lost = a.link.loseReplyTo(call, fixture.recordOf("charges", key));
          return ++executions;
        });
        const { value, attempt, record } = await unfailing(finish(fixture, running, 15_000));
        await lost;
        assert.deepEqual([value, attempt, record], [1, 1, "stored"]);
        const replayed = await charges(b, fixture).run(key, {}, () => assert.fail("executed twice"));
        assert.equal(replayed.value, 1);
      }
    },
  },
  {
    name: "while the store is out of reach nothing executes, unless that was asked for",
    needs: ["link"],
    run: async (fixture) => {
      const process = await fixture.processBehindLink();
      await charges(process, fixture).run(fixture.name(), {}, () => 0);
      process.link.cut();
      const refused = settle(
        charges(process, fixture).run(fixture.name(), {}, () => assert.fail("executed")),
      );
      const open = charges(process, fixture, { failOpen: true }).run(
        fixture.name(),
        {},
        ({ fencingToken }) => fencingToken,
      );
      await fixture.until("refused", 10_000, refused.isSettled);
      const error = refused.error();
      assert.ok(
        isLeaseholdError(error, "BACKEND_UNAVAILABLE") || isLeaseholdError(error, "OUTCOME_UNKNOWN"),
        String(error),
      );
      const { record, value } = await finish(fixture, open);
      assert.deepEqual([record, value], ["unprotected", 0n]);
      await process.link.heal();
    },
  },
  {
    name: "a store that lost the record of a running handler says so, never in silence",
    needs: ["flush"],
    alone: true,
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const key = fixture.name();
      const { record } = await charges(a, fixture).run(key, {}, () => fixture.store.flush());
      assert.equal(record, "missing");
      assert.ok(outcomes(a).includes("missing"));
      const again = await charges(b, fixture).run(key, {}, ({ attempt }) => attempt);
      assert.deepEqual(
        [again.value, again.replayed],
        [1, false],
        "effects are at least once, and that was told",
      );
      const [slow, gate] = [fixture.name(), new Gate()];
      const running = settle(charges(a, fixture).run(slow, {}, (context) => gate.pass(context)));
      await gate.reached(fixture);
      await fixture.store.flush();
      await fixture.until("told while it runs", fixture.ttlMs, () => gate.contexts[0]!.signal.aborted);
      gate.open();
      await fixture.until("settled", 2_000, running.isSettled);
    },
  },
  {
    name: "close lets running handlers end, and what they stored outlives the process",
    run: async (fixture) => {
      const [a, b] = [await fixture.process(), await fixture.process()];
      const key = fixture.name();
      const [running, done] = [fixture.name(), await charges(a, fixture).run(key, {}, () => "before")];
      assert.equal(done.record, "stored");
      const gate = new Gate();
      const handling = charges(a, fixture).run(running, {}, async (context) => {
        await gate.pass(context);
        return "while closing";
      });
      await gate.reached(fixture);
      const closing = a.coordinator.close();
      await fixture.until("told", 1_000, () => gate.contexts[0]!.signal.aborted);
      // A close that does not wait for the handler is over after this.
      await fixture.elapse(20);
      gate.open();
      assert.equal((await finish(fixture, handling)).record, "stored");
      await finish(fixture, closing);
      for (const [each, value] of [
        [key, "before"],
        [running, "while closing"],
      ] as const) {
        const replayed = await charges(b, fixture).run(each, {}, () => assert.fail("executed again"));
        assert.equal(replayed.value, value);
      }
    },
  },
];
