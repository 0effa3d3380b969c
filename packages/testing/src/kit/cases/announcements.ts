import assert from "node:assert/strict";

import type { Backend } from "@leasehold/core";

import type { Stage } from "../stage.ts";
import type { Case } from "../case.ts";

/** Values that are replaced, claims that are evicted, and those who are told of changes. */
export const announcementCases: readonly Case[] = [
  {
    name: "a holder's value can be replaced, and of several proposals the highest sequence stays",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const claim = await stage.granted(a, stage.request(resource, { value: "first" }));
      const seen = async (): Promise<unknown[]> => {
        const { holders } = await b.backend.leases.inspect(resource, { timeoutMs: 5_000 });
        return holders.map(({ value, sequence, ticket }) => [value, sequence, ticket]);
      };
      assert.deepEqual(await seen(), [["first", 0, claim.ticket]]);
      const text = 'third, with spaces: "\u0000 \u{1f600} |%';
      assert.equal(await stage.propose(a, claim, text, 3), true);
      assert.equal(
        await stage.propose(a, claim, "second, and late", 2),
        true,
        "it is held, and has a newer value",
      );
      assert.equal(
        await stage.propose(a, claim, "third, again", 3),
        true,
        "a repeated proposal changes nothing",
      );
      assert.deepEqual(await seen(), [[text, 3, claim.ticket]]);
      await stage.renew(a, claim);
      await stage.granted(a, claim);
      assert.deepEqual(
        await seen(),
        [[text, 3, claim.ticket]],
        "neither renewal nor a repeated acquire brings one back",
      );
    },
  },
  {
    name: "only a holder can propose: a waiter, a stranger, another ticket and the dead cannot",
    run: async (stage) => {
      const a = await stage.actor();
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      const waiting = await stage.queued(a, stage.request(resource));
      assert.equal(await stage.propose(a, waiting, "waiter", 1), false);
      assert.equal(await stage.propose(a, { ...held, ticket: held.ticket + 1n }, "other ticket", 1), false);
      assert.equal(await stage.propose(a, { ...held, owner: stage.owner() }, "stranger", 1), false);
      await stage.release(a, held);
      assert.equal(await stage.propose(a, held, "gone", 1), false);
      const { holders } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        holders.map(({ owner, value }) => [owner, value]),
        [[waiting.owner, ""]],
      );
    },
  },
  {
    name: "a proposal does not keep a claim alive",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const claim = await stage.granted(a, stage.request(resource));
      for (let i = 1; i <= 3; i++) {
        await stage.elapse(stage.ttlMs / 5);
        assert.equal(await stage.propose(a, claim, String(i), i), true);
      }
      await stage.elapse((2 * stage.ttlMs) / 5 + 1_000);
      assert.equal(await stage.propose(a, claim, "dead", 9), false);
      await stage.granted(b, stage.request(resource, { queue: false }));
    },
  },
  {
    name: "an evicted claim is not renewed, tells its holder, and frees when it is released",
    run: async (stage) => {
      const [a, operator, c] = [await stage.actor(), await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const ttlMs = stage.ttlMs * 10;
      const held = await stage.granted(a, stage.request(resource, { ttlMs }));
      const waiting = await stage.queued(c, stage.request(resource, { ttlMs }));
      assert.equal(
        await stage.evict(operator, { ...held, owner: stage.owner() }),
        false,
        "nobody of that name",
      );
      assert.equal(await stage.evict(operator, held), true);
      const { holders } = await operator.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        holders.map(({ owner, evicted }) => [owner, evicted]),
        [[held.owner, true]],
        "it still holds",
      );
      assert.deepEqual(await stage.renew(a, held), [{ kind: "evicted" }]);
      assert.deepEqual(c.pushes, [], "nobody else may believe yet");
      const again = await stage.granted(a, held);
      assert.equal(again.ticket, held.ticket);
      assert.ok(again.validFrom.monoMs <= held.validFrom.monoMs, "a repeated acquire proves nothing new");
      assert.equal(await stage.release(a, held), true);
      await stage.hears(c, waiting);
      assert.equal(await stage.evict(operator, waiting), true);
      assert.deepEqual(await stage.renew(c, waiting), [{ kind: "evicted" }]);
    },
  },
  {
    name: "an evicted claim whose holder says nothing ends within its ttl, whatever it goes on asking",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      const waiting = await stage.queued(b, stage.request(resource));
      assert.equal(await stage.evict(b, held), true);
      const steps = Math.ceil((stage.ttlMs + 1_000) / (stage.ttlMs / 3));
      for (let i = 0; i < steps; i++) {
        await stage.elapse(stage.ttlMs / 3);
        const [answer] = await stage.renew(a, held);
        assert.ok(answer?.kind === "evicted" || answer?.kind === "gone", `not ${answer?.kind}`);
        await stage.renew(b, waiting);
      }
      assert.deepEqual(await stage.renew(a, held), [{ kind: "gone" }]);
      await stage.until("the next is granted", 2 * stage.ttlMs, async () => {
        const [successor] = await stage.renew(b, waiting);
        assert.equal(successor?.kind, "renewed", "it was kept alive");
        return successor?.kind === "renewed" && successor.granted;
      });
    },
  },
  {
    name: "who watches is told when watching begins, and of every kind of change, until it stops",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const announced = { announce: true, ttlMs: stage.ttlMs * 10 };
      const watcher = watch(b.backend, resource);
      await watcher.tells(stage, "the beginning");
      const first = await stage.granted(a, stage.request(resource, announced));
      await watcher.tells(stage, "a grant");
      const second = await stage.queued(a, stage.request(resource, announced));
      await watcher.tells(stage, "a waiter");
      await stage.propose(a, first, "value", 1);
      await watcher.tells(stage, "a value");
      await stage.evict(a, second);
      await watcher.tells(stage, "an eviction");
      await stage.release(a, first);
      await watcher.tells(stage, "a release");
      watcher.stop();
      const before = watcher.heard();
      // Who watches on is told, so the one who stopped would have been told by then.
      const other = watch(b.backend, resource);
      await other.tells(stage, "the beginning");
      await stage.queued(b, stage.request(resource, announced));
      await other.tells(stage, "a waiter");
      assert.equal(watcher.heard(), before, "nothing is heard after the end");
      other.stop();
    },
  },
  {
    name: "who watches one resource hears nothing of another",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const watcher = watch(b.backend, resource);
      await watcher.tells(stage, "the beginning");
      for (const other of [`${resource}x`, `${resource}/x`, resource.slice(0, -1), stage.name()])
        await stage.release(a, await stage.granted(a, stage.request(other, { announce: true })));
      const mine = await stage.granted(a, stage.request(resource, { announce: true }));
      await watcher.tells(stage, "its own");
      assert.equal(watcher.heard(), 2, "the beginning, and its own");
      await stage.release(a, mine);
      watcher.stop();
    },
  },
];

interface Watcher {
  readonly heard: () => number;
  readonly stop: () => void;
  /** Fails unless something was heard since the last time. */
  tells(stage: Stage, what: string): Promise<void>;
}

function watch(backend: Backend, resource: string): Watcher {
  let heard = 0;
  let known = 0;
  const stop = backend.leases.watch(resource, () => void (heard += 1));
  assert.equal(heard, 0, "never told from within the call itself");
  return {
    heard: () => heard,
    stop,
    tells: async (stage, what) => {
      await stage.until(`told of ${what}`, 2_000, () => heard > known);
      known = heard;
    },
  };
}
