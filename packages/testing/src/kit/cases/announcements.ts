import assert from "node:assert/strict";

import type { Backend } from "@leasehold/core";

import type { Fixture } from "../fixture.ts";
import type { Case } from "../case.ts";

/** Values that are replaced, claims that are evicted, and those who are told of changes. */
export const announcementCases: readonly Case[] = [
  {
    name: "a holder's value can be replaced, and of several proposals the highest sequence stays",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const claim = await fixture.granted(a, fixture.request(resource, { value: "first" }));
      const seen = async (): Promise<unknown[]> => {
        const { holders } = await b.backend.leases.inspect(resource, { timeoutMs: 5_000 });
        return holders.map(({ value, sequence, ticket }) => [value, sequence, ticket]);
      };
      assert.deepEqual(await seen(), [["first", 0, claim.ticket]]);
      const text = 'third, with spaces: "\u0000 \u{1f600} |%';
      assert.equal(await fixture.propose(a, claim, text, 3), true);
      assert.equal(
        await fixture.propose(a, claim, "second, and late", 2),
        true,
        "it is held, and has a newer value",
      );
      assert.equal(
        await fixture.propose(a, claim, "third, again", 3),
        true,
        "a repeated proposal changes nothing",
      );
      assert.deepEqual(await seen(), [[text, 3, claim.ticket]]);
      await fixture.renew(a, claim);
      await fixture.granted(a, claim);
      assert.deepEqual(
        await seen(),
        [[text, 3, claim.ticket]],
        "neither renewal nor a repeated acquire brings one back",
      );
    },
  },
  {
    name: "only a holder can propose: a waiter, a stranger, another ticket and the dead cannot",
    run: async (fixture) => {
      const a = await fixture.peer();
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      const waiting = await fixture.queued(a, fixture.request(resource));
      assert.equal(await fixture.propose(a, waiting, "waiter", 1), false);
      assert.equal(await fixture.propose(a, { ...held, ticket: held.ticket + 1n }, "other ticket", 1), false);
      assert.equal(await fixture.propose(a, { ...held, owner: fixture.owner() }, "stranger", 1), false);
      await fixture.release(a, held);
      assert.equal(await fixture.propose(a, held, "gone", 1), false);
      const { holders } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        holders.map(({ owner, value }) => [owner, value]),
        [[waiting.owner, ""]],
      );
    },
  },
  {
    name: "a proposal does not keep a claim alive",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const claim = await fixture.granted(a, fixture.request(resource));
      for (let i = 1; i <= 3; i++) {
        await fixture.elapse(fixture.ttlMs / 5);
        assert.equal(await fixture.propose(a, claim, String(i), i), true);
      }
      await fixture.elapse((2 * fixture.ttlMs) / 5 + 1_000);
      assert.equal(await fixture.propose(a, claim, "dead", 9), false);
      await fixture.granted(b, fixture.request(resource, { queue: false }));
    },
  },
  {
    name: "an evicted claim is not renewed, tells its holder, and frees when it is released",
    run: async (fixture) => {
      const [a, operator, c] = [await fixture.peer(), await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const ttlMs = fixture.ttlMs * 10;
      const held = await fixture.granted(a, fixture.request(resource, { ttlMs }));
      const waiting = await fixture.queued(c, fixture.request(resource, { ttlMs }));
      assert.equal(
        await fixture.evict(operator, { ...held, owner: fixture.owner() }),
        false,
        "nobody of that name",
      );
      assert.equal(await fixture.evict(operator, held), true);
      const { holders } = await operator.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        holders.map(({ owner, evicted }) => [owner, evicted]),
        [[held.owner, true]],
        "it still holds",
      );
      assert.deepEqual(await fixture.renew(a, held), [{ kind: "evicted" }]);
      assert.deepEqual(c.pushes, [], "nobody else may believe yet");
      const again = await fixture.granted(a, held);
      assert.equal(again.ticket, held.ticket);
      assert.ok(again.validFrom.monoMs <= held.validFrom.monoMs, "a repeated acquire proves nothing new");
      assert.equal(await fixture.release(a, held), true);
      await fixture.hears(c, waiting);
      assert.equal(await fixture.evict(operator, waiting), true);
      assert.deepEqual(await fixture.renew(c, waiting), [{ kind: "evicted" }]);
    },
  },
  {
    name: "an evicted claim whose holder says nothing ends within its ttl, whatever it goes on asking",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      const waiting = await fixture.queued(b, fixture.request(resource));
      assert.equal(await fixture.evict(b, held), true);
      const steps = Math.ceil((fixture.ttlMs + 1_000) / (fixture.ttlMs / 3));
      for (let i = 0; i < steps; i++) {
        await fixture.elapse(fixture.ttlMs / 3);
        const [answer] = await fixture.renew(a, held);
        assert.ok(answer?.kind === "evicted" || answer?.kind === "gone", `not ${answer?.kind}`);
        await fixture.renew(b, waiting);
      }
      assert.deepEqual(await fixture.renew(a, held), [{ kind: "gone" }]);
      await fixture.until("the next is granted", 2 * fixture.ttlMs, async () => {
        const [successor] = await fixture.renew(b, waiting);
        assert.equal(successor?.kind, "renewed", "it was kept alive");
        return successor?.kind === "renewed" && successor.granted;
      });
    },
  },
  {
    name: "who watches is told when watching begins, and of every kind of change, until it stops",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const announced = { announce: true, ttlMs: fixture.ttlMs * 10 };
      const watcher = watch(b.backend, resource);
      await watcher.tells(fixture, "the beginning");
      const first = await fixture.granted(a, fixture.request(resource, announced));
      await watcher.tells(fixture, "a grant");
      const second = await fixture.queued(a, fixture.request(resource, announced));
      await watcher.tells(fixture, "a waiter");
      await fixture.propose(a, first, "value", 1);
      await watcher.tells(fixture, "a value");
      await fixture.evict(a, second);
      await watcher.tells(fixture, "an eviction");
      await fixture.release(a, first);
      await watcher.tells(fixture, "a release");
      watcher.stop();
      const before = watcher.heard();
      // Who watches on is told, so the one who stopped would have been told by then.
      const other = watch(b.backend, resource);
      await other.tells(fixture, "the beginning");
      await fixture.queued(b, fixture.request(resource, announced));
      await other.tells(fixture, "a waiter");
      assert.equal(watcher.heard(), before, "nothing is heard after the end");
      other.stop();
    },
  },
  {
    name: "who watches one resource hears nothing of another",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const watcher = watch(b.backend, resource);
      await watcher.tells(fixture, "the beginning");
      for (const other of [`${resource}x`, `${resource}/x`, resource.slice(0, -1), fixture.name()])
        await fixture.release(a, await fixture.granted(a, fixture.request(other, { announce: true })));
      const mine = await fixture.granted(a, fixture.request(resource, { announce: true }));
      await watcher.tells(fixture, "its own");
      assert.equal(watcher.heard(), 2, "the beginning, and its own");
      await fixture.release(a, mine);
      watcher.stop();
    },
  },
];

interface Watcher {
  readonly heard: () => number;
  readonly stop: () => void;
  /** Fails unless something was heard since the last time. */
  tells(fixture: Fixture, what: string): Promise<void>;
}

function watch(backend: Backend, resource: string): Watcher {
  let heard = 0;
  let known = 0;
  const stop = backend.leases.watch(resource, () => void (heard += 1));
  assert.equal(heard, 0, "never told from within the call itself");
  return {
    heard: () => heard,
    stop,
    tells: async (fixture, what) => {
      await fixture.until(`told of ${what}`, 2_000, () => heard > known);
      known = heard;
    },
  };
}
