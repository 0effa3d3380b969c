import assert from "node:assert/strict";

import type { Case } from "../case.ts";

/** Slack for the stores' own clocks: etcd looks for expired leases every 500 ms. */
const storeSlackMs = 1_000;

/** Claims that are not renewed, and what the living get of it. */
export const crashCases: readonly Case[] = [
  {
    name: "a claim lives while it is renewed, and dies a ttl after it no longer is",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      await fixture.keepAlive(a, fixture.ttlMs * 2, held);
      const attempt = await b.backend.leases.acquire(fixture.request(resource, { queue: false }));
      assert.equal(attempt.kind, "refused", "still held after two ttls");
      await fixture.elapse(fixture.ttlMs + storeSlackMs);
      const next = await fixture.granted(b, fixture.request(resource, { queue: false }));
      assert.ok(next.ticket > held.ticket);
    },
  },
  {
    name: "a claim that is not renewed dies, whatever else its process keeps alive",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const [kept, lapsed] = [fixture.name(), fixture.name()];
      const alive = await fixture.granted(a, fixture.request(kept));
      const forgotten = await fixture.granted(a, fixture.request(lapsed));
      await fixture.keepAlive(a, fixture.ttlMs * 2 + storeSlackMs, alive);
      await fixture.granted(b, fixture.request(lapsed, { queue: false }));
      assert.deepEqual(await fixture.renew(a, forgotten), [{ kind: "gone" }]);
      const [answer] = await fixture.renew(a, alive);
      assert.equal(answer?.kind, "renewed");
    },
  },
  {
    name: "a dead claim is gone: neither renewed, nor resurrected, nor released",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      await fixture.elapse(fixture.ttlMs + storeSlackMs);
      assert.deepEqual(await fixture.renew(a, held), [{ kind: "gone" }]);
      assert.deepEqual(await a.backend.leases.inspect(resource, { timeoutMs: 5_000 }), {
        holders: [],
        line: [],
      });
      assert.equal(await fixture.release(a, held), false);
      await fixture.granted(b, fixture.request(resource, { queue: false }));
      assert.deepEqual(
        await fixture.renew(a, held),
        [{ kind: "gone" }],
        "not with another in its place either",
      );
    },
  },
  {
    name: "a released claim is gone, and its renewal creates nothing",
    run: async (fixture) => {
      const a = await fixture.peer();
      const held = await fixture.granted(a, fixture.request(fixture.name()));
      await fixture.release(a, held);
      assert.deepEqual(await fixture.renew(a, held), [{ kind: "gone" }]);
      const { holders } = await a.backend.leases.inspect(held.resource.name, { timeoutMs: 5_000 });
      assert.deepEqual(holders, []);
    },
  },
  {
    name: "a dead holder is replaced by the first in line within its ttl",
    run: async (fixture) => {
      const [dead, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      await fixture.granted(dead, fixture.request(resource));
      const waiting = await fixture.queued(b, fixture.request(resource));
      await fixture.keepAlive(b, fixture.ttlMs + storeSlackMs, waiting);
      const [answer] = await fixture.renew(b, waiting);
      assert.ok(answer?.kind === "renewed" && answer.granted);
    },
  },
  {
    name: "a dead waiter is skipped, and never granted",
    run: async (fixture) => {
      const [a, dead, c] = [await fixture.peer(), await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      const lapsed = await fixture.queued(dead, fixture.request(resource));
      const waiting = await fixture.queued(c, fixture.request(resource));
      const steps = Math.ceil((fixture.ttlMs + storeSlackMs) / (fixture.ttlMs / 3));
      for (let i = 0; i < steps; i++) {
        await fixture.elapse(fixture.ttlMs / 3);
        await fixture.renew(a, held);
        await fixture.renew(c, waiting);
      }
      const { line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        line.map(({ owner }) => owner),
        [waiting.owner],
        "the dead are left out",
      );
      await fixture.release(a, held);
      await fixture.hears(c, waiting);
      assert.deepEqual(dead.pushes, []);
      assert.deepEqual(await fixture.renew(dead, lapsed), [{ kind: "gone" }]);
    },
  },
  {
    name: "a claim that died where it stood no longer counts, and cannot come back beside its successor (R6)",
    run: async (fixture) => {
      const [a, dead, c] = [await fixture.peer(), await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const shape = { capacity: 2 };
      const first = await fixture.granted(a, fixture.request(resource, shape));
      const lapsed = await fixture.granted(dead, fixture.request(resource, shape));
      await fixture.keepAlive(a, fixture.ttlMs + storeSlackMs, first);
      const third = await fixture.granted(c, fixture.request(resource, shape));
      assert.deepEqual(await fixture.renew(dead, lapsed), [{ kind: "gone" }]);
      const { holders } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(
        holders.map(({ owner }) => owner),
        [first.owner, third.owner],
      );
      const fourth = await c.backend.leases.acquire(fixture.request(resource, { ...shape, queue: false }));
      assert.equal(fourth.kind, "refused", "two of two are taken");
    },
  },
  {
    name: "a repeated acquire refreshes its claim exactly as a renewal does (R3)",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      for (let i = 0; i < 6; i++) {
        await fixture.elapse(fixture.ttlMs / 3);
        assert.equal((await fixture.granted(a, held)).ticket, held.ticket);
      }
      assert.equal(
        (await b.backend.leases.acquire(fixture.request(resource, { queue: false }))).kind,
        "refused",
      );
    },
  },
  {
    name: "after its death an owner joins again with a new ticket, and the old one is gone (R2)",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const first = await fixture.granted(a, fixture.request(resource));
      await fixture.elapse(fixture.ttlMs + storeSlackMs);
      const other = await fixture.granted(b, fixture.request(resource));
      const second = await fixture.queued(a, { ...first });
      assert.ok(second.ticket > other.ticket);
      const [old, current] = [await fixture.renew(a, first), await fixture.renew(a, second)];
      assert.deepEqual(old, [{ kind: "gone" }]);
      assert.equal(current[0]?.kind, "renewed");
      assert.equal(
        await fixture.release(a, first),
        true,
        "a release names the owner, and removes whatever ticket it has",
      );
      const { line } = await b.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(line, []);
    },
  },
  {
    name: "a short-lived neighbour does not shorten a long-lived claim",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const long = await fixture.granted(a, fixture.request(resource, { ttlMs: fixture.ttlMs * 10 }));
      const short = await fixture.queued(b, fixture.request(resource));
      await fixture.queued(b, fixture.request(resource));
      await fixture.renew(b, short);
      await fixture.elapse(fixture.ttlMs + storeSlackMs + 1_000);
      const reply = await b.backend.leases.acquire(fixture.request(resource, { queue: false }));
      assert.equal(reply.kind, "refused", "the long one still holds");
      const [answer] = await fixture.renew(a, long);
      assert.ok(answer?.kind === "renewed" && answer.granted);
    },
  },
];
