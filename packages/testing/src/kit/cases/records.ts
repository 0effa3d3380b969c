import assert from "node:assert/strict";

import type { Case } from "../case.ts";
import { Executions } from "../executions.ts";

const otherPayload = "b".repeat(64);

/** Idempotency records, at the level of the contract. */
export const recordCases: readonly Case[] = [
  {
    name: "of many who begin one record at once one executes, and the others are told so",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peers = [await fixture.peer(), await fixture.peer()];
      const record = fixture.name();
      const racers = Array.from({ length: 40 }, (_, i) => at.begin(peers[i % 2]!, at.request(record)));
      const replies = await Promise.all(racers);
      const kinds = replies.map(({ kind }) => kind);
      assert.equal(kinds.filter((kind) => kind === "begun").length, 1);
      assert.equal(kinds.filter((kind) => kind === "in-progress").length, 39);
      for (const reply of replies)
        if (reply.kind === "in-progress")
          assert.ok(
            reply.remainingMs > 0 && reply.remainingMs <= fixture.ttlMs + 10,
            String(reply.remainingMs),
          );
    },
  },
  {
    name: "a begin repeated by its owner is the same execution",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peer = await fixture.peer();
      const first = await at.begun(peer, at.request(fixture.name()));
      assert.equal(first.attempt, 1);
      const again = await at.begun(peer, first);
      assert.deepEqual([again.token, again.attempt], [first.token, 1]);
      assert.equal(await at.finish(peer, again, "completed", "1"), "done");
    },
  },
  {
    name: "a result is answered from then on, to everybody, as it was stored; a failure as a failure",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const bodies = [`1"\u0000\r\n é 日本 \u{1f512} ${"x".repeat(50_000)}`, "", null];
      for (const body of bodies)
        for (const outcome of ["completed", "failed"] as const) {
          const execution = await at.begun(a, at.request(fixture.name()));
          assert.equal(await at.finish(a, execution, outcome, body), "done");
          const { record } = execution;
          const expected = { kind: "finished", outcome, body, token: execution.token, attempt: 1 };
          for (const peer of [a, b]) assert.deepEqual(await at.begin(peer, at.request(record)), expected);
          assert.deepEqual(
            await at.begin(a, execution),
            expected,
            "also to the owner, whose begin comes late",
          );
        }
    },
  },
  {
    name: "another payload is a mismatch in every state",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peer = await fixture.peer();
      const mismatched = async (record: string): Promise<void> => {
        for (const takeOver of [true, false]) {
          const request = at.request(record, { fingerprint: otherPayload, takeOver });
          assert.deepEqual(await at.begin(peer, request), { kind: "mismatch" });
        }
      };
      for (const outcome of ["completed", "failed", "released"] as const) {
        const execution = await at.begun(peer, at.request(fixture.name()));
        await mismatched(execution.record);
        assert.equal(await at.finish(peer, execution, outcome, outcome === "released" ? null : "1"), "done");
        await mismatched(execution.record);
      }
      const expired = await at.begun(peer, at.request(fixture.name()));
      await at.ended(peer, expired);
      await mismatched(expired.record);
    },
  },
  {
    name: "a released record may be begun again, with a higher token, and its attempts are counted",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const first = await at.begun(a, at.request(fixture.name()));
      assert.equal(await at.finish(a, first, "released"), "done");
      const second = await at.begun(b, at.request(first.record));
      assert.equal(second.attempt, 2);
      assert.ok(second.token > first.token);
      assert.equal(await at.finish(a, first, "completed", "late"), "fenced");
    },
  },
  {
    name: "an execution that is not extended is taken over after its lease, not after its retention",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const first = await at.begun(a, at.request(fixture.name()));
      assert.equal((await at.begin(b, at.request(first.record))).kind, "in-progress");
      await at.ended(b, first);
      const second = await at.begun(b, at.request(first.record));
      assert.equal(second.attempt, 2);
      assert.ok(second.token > first.token);
      assert.equal((await at.begin(a, at.request(first.record))).kind, "in-progress");
    },
  },
  {
    name: "who does not take over is told that the lease has ended, and changes nothing",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peer = await fixture.peer();
      const execution = await at.begun(peer, at.request(fixture.name()));
      await at.ended(peer, execution);
      const refused = at.request(execution.record, { takeOver: false });
      for (let time = 0; time < 2; time++)
        assert.deepEqual(await at.begin(peer, refused), { kind: "expired", attempt: 1 });
      assert.equal(await at.finish(peer, execution, "completed", "late, and alone"), "done");
    },
  },
  {
    name: "an execution that is extended is not taken over",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const execution = await at.begun(a, at.request(fixture.name()));
      const stepMs = fixture.ttlMs / 3;
      for (let passedMs = 0; passedMs < 2.5 * fixture.ttlMs; passedMs += stepMs) {
        await fixture.elapse(stepMs);
        assert.equal((await at.extend(a, execution)).kind, "extended");
        assert.equal((await at.begin(b, at.request(execution.record))).kind, "in-progress");
      }
      assert.equal(await at.finish(a, execution, "completed", "1"), "done");
    },
  },
  {
    name: "who was taken over is fenced: it can neither extend, nor complete, nor fail, nor release",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const first = await at.begun(a, at.request(fixture.name()));
      await at.ended(b, first);
      const second = await at.begun(b, at.request(first.record));
      const isFenced = async (): Promise<void> => {
        assert.equal((await at.extend(a, first)).kind, "fenced");
        for (const outcome of ["completed", "failed", "released"] as const)
          assert.equal(await at.finish(a, first, outcome, outcome === "released" ? null : "wrong"), "fenced");
        assert.equal(await at.finish(a, { ...first, token: null }, "released"), "fenced");
        assert.equal(await at.finish(a, { ...first, token: second.token }, "completed", "wrong"), "fenced");
      };
      await isFenced();
      assert.equal((await at.extend(b, second)).kind, "extended", "nothing was changed");
      assert.equal(await at.finish(b, second, "completed", "right"), "done");
      await isFenced();
      const replayed = await at.begin(a, at.request(first.record));
      assert.equal(replayed.kind === "finished" && replayed.body, "right");
    },
  },
  {
    name: "who is late, and was not taken over, still extends and finishes",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const execution = await at.begun(a, at.request(fixture.name()));
      await at.ended(b, execution);
      assert.equal((await at.extend(a, execution)).kind, "extended");
      assert.equal((await at.begin(b, at.request(execution.record))).kind, "in-progress");
      await at.ended(b, execution);
      assert.equal(await at.finish(a, execution, "completed", "1"), "done");
    },
  },
  {
    name: "an end repeated by its owner is done again, and another end is not",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peer = await fixture.peer();
      for (const outcome of ["completed", "failed", "released"] as const) {
        const execution = await at.begun(peer, at.request(fixture.name()));
        for (let time = 0; time < 2; time++) assert.equal(await at.finish(peer, execution, outcome), "done");
        const another = outcome === "completed" ? "failed" : "completed";
        assert.equal(await at.finish(peer, execution, another, "2"), "fenced");
        assert.equal((await at.extend(peer, execution)).kind, "fenced");
      }
    },
  },
  {
    name: "what a lost begin may have begun is taken back by its owner alone",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const lost = await at.begun(a, at.request(fixture.name()));
      const stranger = { ...lost, owner: fixture.owner(), token: null };
      assert.equal(await at.finish(b, stranger, "released"), "fenced");
      assert.equal(await at.finish(a, { ...lost, token: null }, "released"), "done");
      assert.equal((await at.begun(b, at.request(lost.record))).attempt, 2);
      assert.equal(await at.finish(a, { ...lost, token: null }, "released"), "fenced");
    },
  },
  {
    name: "of a record that was never begun nothing is extended or finished",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peer = await fixture.peer();
      const nothing = {
        ...at.request(fixture.name()),
        ...(await at.begun(peer, at.request(fixture.name()))),
      };
      const record = fixture.name();
      assert.equal((await at.extend(peer, { ...nothing, record })).kind, "missing");
      assert.equal(await at.finish(peer, { ...nothing, record }, "completed", "1"), "missing");
      assert.equal(await at.finish(peer, { ...nothing, record, token: null }, "released"), "missing");
      assert.equal((await at.begun(peer, at.request(record))).attempt, 1);
    },
  },
  {
    name: "a record outlives its lease for as long as it is retained",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peer = await fixture.peer();
      const retentionMs = 3 * fixture.ttlMs;
      const execution = await at.begun(peer, at.request(fixture.name(), { retentionMs }));
      assert.equal(await at.finish(peer, execution, "completed", "1"), "done");
      await fixture.elapse(2 * fixture.ttlMs);
      assert.equal((await at.begin(peer, at.request(execution.record))).kind, "finished");
    },
  },
  {
    name: "who watches a record hears of its end, its release and its takeover",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const record = fixture.name();
      let heard = 0;
      const stop = b.backend.idempotency.watch(record, () => void (heard += 1));
      await fixture.until("watching", 3_000, () => heard > 0);
      const more = async (what: string, act: () => Promise<unknown>): Promise<void> => {
        const before = heard;
        await act();
        await fixture.until(`heard of ${what}`, 2_000, () => heard > before);
      };
      const watched = { watched: true };
      const first = await at.begun(a, at.request(record));
      assert.equal((await at.begin(b, at.request(record, watched))).kind, "in-progress");
      await more("a release", () => at.finish(a, first, "released"));
      const second = await at.begun(a, at.request(record, watched));
      await at.ended(a, second);
      const third = at.request(record, watched);
      await more("a takeover", () => at.begun(a, third));
      const { token } = await at.begun(a, third);
      await more("an end", () => at.finish(a, { ...third, token }, "completed", "1"));
      stop();
    },
  },
  {
    name: "records are kept apart by name, whatever the names, and from claims",
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peer = await fixture.peer();
      const name = fixture.name();
      const names = [
        name,
        `${name}/`,
        `${name}/r`,
        `${name}{x}`,
        `{${name}}`,
        `${name}\u0000`,
        `${name}%002f`,
        "",
        "__proto__",
      ];
      await fixture.granted(peer, fixture.request(name));
      const executions = [];
      for (const record of names) executions.push(await at.begun(peer, at.request(record)));
      for (const [i, execution] of executions.entries())
        assert.equal(await at.finish(peer, execution, "completed", String(i)), "done");
      for (const [i, record] of names.entries()) {
        const reply = await at.begin(peer, at.request(record));
        assert.equal(reply.kind === "finished" && reply.body, String(i));
      }
      assert.equal((await peer.backend.leases.inspect(name, { timeoutMs: 5_000 })).holders.length, 1);
    },
  },
  {
    name: "a store that has lost its records says so, and its tokens never go back",
    needs: ["flush"],
    alone: true,
    run: async (fixture) => {
      const at = new Executions(fixture);
      const peer = await fixture.peer();
      const before = await at.begun(peer, at.request(fixture.name()));
      await fixture.store.flush();
      assert.equal((await at.extend(peer, before)).kind, "missing");
      assert.equal(await at.finish(peer, before, "completed", "1"), "missing");
      const after = await at.begun(peer, at.request(before.record));
      assert.ok(after.token > before.token);
      assert.equal(after.attempt, 1);
      assert.equal(await at.finish(peer, before, "completed", "1"), "fenced");
    },
  },
  {
    name: "a store killed and restarted with its data keeps its records",
    needs: ["restart"],
    alone: true,
    run: async (fixture) => {
      const at = new Executions(fixture);
      const leaseMs = fixture.ttlMs * 20;
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const done = await at.begun(a, at.request(fixture.name(), { leaseMs, retentionMs: leaseMs }));
      assert.equal(await at.finish(a, done, "completed", "1"), "done");
      const running = await at.begun(a, at.request(fixture.name(), { leaseMs, retentionMs: leaseMs }));
      await fixture.store.kill();
      await fixture.store.start({ wipe: false });
      const answered = async (): Promise<string> => (await at.begin(b, at.request(done.record))).kind;
      await fixture.until("the store is back", 10_000, () =>
        answered().then(
          (kind) => kind === "finished",
          () => false,
        ),
      );
      assert.equal(await at.finish(a, running, "completed", "2"), "done");
      const replayed = await at.begin(b, at.request(running.record));
      assert.equal(replayed.kind === "finished" && replayed.body, "2");
    },
  },
];
