import assert from "node:assert/strict";

import type { Case } from "../case.ts";

/** Slack for the stores' own clocks: etcd looks for expired leases every 500 ms. */
const storeSlackMs = 1_000;

/** Claims that are not renewed, and what the living get of it. */
export const crashCases: readonly Case[] = [
  {
    name: "a claim lives while it is renewed, and dies a ttl after it no longer is",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      await stage.keepAlive(a, stage.ttlMs * 2, held);
      const attempt = await b.backend.leases.acquire(stage.request(resource, { queue: false }));
      assert.equal(attempt.kind, "refused", "still held after two ttls");
      await stage.elapse(stage.ttlMs + storeSlackMs);
      const next = await stage.granted(b, stage.request(resource, { queue: false }));
      assert.ok(next.ticket > held.ticket);
    },
  },
  {
    name: "a claim that is not renewed dies, whatever else its process keeps alive",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const [kept, lapsed] = [stage.name(), stage.name()];
      const alive = await stage.granted(a, stage.request(kept));
      const forgotten = await stage.granted(a, stage.request(lapsed));
      await stage.keepAlive(a, stage.ttlMs * 2 + storeSlackMs, alive);
      await stage.granted(b, stage.request(lapsed, { queue: false }));
      assert.deepEqual(await stage.renew(a, forgotten), [{ kind: "gone" }]);
      const [answer] = await stage.renew(a, alive);
      assert.equal(answer?.kind, "renewed");
    },
  },
  {
    name: "a dead claim is gone: neither renewed, nor resurrected, nor released",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      await stage.elapse(stage.ttlMs + storeSlackMs);
      assert.deepEqual(await stage.renew(a, held), [{ kind: "gone" }]);
      assert.deepEqual(await a.backend.leases.inspect(resource, { timeoutMs: 5_000 }), {
        holders: [],
        line: [],
      });
      assert.equal(await stage.release(a, held), false);
      await stage.granted(b, stage.request(resource, { queue: false }));
      assert.deepEqual(
        await stage.renew(a, held),
        [{ kind: "gone" }],
        "not with another in its place either",
      );
    },
  },
  {
    name: "a released claim is gone, and its renewal creates nothing",
    run: async (stage) => {
      const a = await stage.actor();
      const held = await stage.granted(a, stage.request(stage.name()));
      await stage.release(a, held);
      assert.deepEqual(await stage.renew(a, held), [{ kind: "gone" }]);
      const { holders } = await a.backend.leases.inspect(held.resource.name, { timeoutMs: 5_000 });
      assert.deepEqual(holders, []);
    },
  },
  {
    name: "a dead holder is replaced by the first in line within its ttl",
    run: async (stage) => {
      const [dead, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      await stage.granted(dead, stage.request(resource));
      const waiting = await stage.queued(b, stage.request(resource));
      await stage.keepAlive(b, stage.ttlMs + storeSlackMs, waiting);
      const [answer] = await stage.renew(b, waiting);
      assert.ok(answer?.kind === "renewed" && answer.granted);
    },
  },
  {
    name: "a dead waiter is skipped, and never granted",
    run: async (stage) => {
      const [a, dead, c] = [await stage.actor(), await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      const lapsed = await stage.queued(dead, stage.request(resource));
      const waiting = await stage.queued(c, stage.request(resource));
      const steps = Math.ceil((stage.ttlMs + storeSlackMs) / (stage.ttlMs / 3));
      for (let i = 0; i < steps; i++) {
        await stage.elapse(stage.ttlMs / 3);
        await stage.renew(a, held);
        await stage.renew(c, waiting);
      }
      const { line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        line.map(({ owner }) => owner),
        [waiting.owner],
        "the dead are left out",
      );
      await stage.release(a, held);
      await stage.hears(c, waiting);
      assert.deepEqual(dead.pushes, []);
      assert.deepEqual(await stage.renew(dead, lapsed), [{ kind: "gone" }]);
    },
  },
  {
    name: "a claim that died where it stood no longer counts, and cannot come back beside its successor (R6)",
    run: async (stage) => {
      const [a, dead, c] = [await stage.actor(), await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const shape = { capacity: 2 };
      const first = await stage.granted(a, stage.request(resource, shape));
      const lapsed = await stage.granted(dead, stage.request(resource, shape));
      await stage.keepAlive(a, stage.ttlMs + storeSlackMs, first);
      const third = await stage.granted(c, stage.request(resource, shape));
      assert.deepEqual(await stage.renew(dead, lapsed), [{ kind: "gone" }]);
      const { holders } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        holders.map(({ owner }) => owner),
        [first.owner, third.owner],
      );
      const fourth = await c.backend.leases.acquire(stage.request(resource, { ...shape, queue: false }));
      assert.equal(fourth.kind, "refused", "two of two are taken");
    },
  },
  {
    name: "a repeated acquire refreshes its claim exactly as a renewal does (R3)",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      for (let i = 0; i < 6; i++) {
        await stage.elapse(stage.ttlMs / 3);
        assert.equal((await stage.granted(a, held)).ticket, held.ticket);
      }
      assert.equal(
        (await b.backend.leases.acquire(stage.request(resource, { queue: false }))).kind,
        "refused",
      );
    },
  },
  {
    name: "after its death an owner joins again with a new ticket, and the old one is gone (R2)",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const first = await stage.granted(a, stage.request(resource));
      await stage.elapse(stage.ttlMs + storeSlackMs);
      const other = await stage.granted(b, stage.request(resource));
      const second = await stage.queued(a, { ...first });
      assert.ok(second.ticket > other.ticket);
      const [old, current] = [await stage.renew(a, first), await stage.renew(a, second)];
      assert.deepEqual(old, [{ kind: "gone" }]);
      assert.equal(current[0]?.kind, "renewed");
      assert.equal(
        await stage.release(a, first),
        true,
        "a release names the owner, and removes whatever ticket it has",
      );
      const { line } = await b.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(line, []);
    },
  },
  {
    name: "a short-lived neighbour does not shorten a long-lived claim",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const long = await stage.granted(a, stage.request(resource, { ttlMs: stage.ttlMs * 10 }));
      const short = await stage.queued(b, stage.request(resource));
      await stage.queued(b, stage.request(resource));
      await stage.renew(b, short);
      await stage.elapse(stage.ttlMs + storeSlackMs + 1_000);
      const reply = await b.backend.leases.acquire(stage.request(resource, { queue: false }));
      assert.equal(reply.kind, "refused", "the long one still holds");
      const [answer] = await stage.renew(a, long);
      assert.ok(answer?.kind === "renewed" && answer.granted);
    },
  },
];
