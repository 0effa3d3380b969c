import assert from "node:assert/strict";

import type { Case } from "../case.ts";

/** Joining, leaving, and who stands where. */
export const lineCases: readonly Case[] = [
  {
    name: "a free resource is granted, and whoever comes next waits",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      const waiting = await stage.queued(b, stage.request(resource));
      assert.equal(held.ttlMs, stage.ttlMs);
      assert.ok(waiting.ticket > held.ticket, "tickets grow in order of arrival");
      assert.ok(waiting.aheadMs > 0, "somebody alive is ahead");
    },
  },
  {
    name: "a repeated acquire gets the same answer for as long as its claim lives",
    run: async (stage) => {
      const a = await stage.actor();
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      const waiting = await stage.queued(a, stage.request(resource));
      assert.equal((await stage.granted(a, held)).ticket, held.ticket);
      assert.equal((await stage.queued(a, waiting)).ticket, waiting.ticket);
      assert.equal((await stage.granted(a, { ...held, queue: false })).ticket, held.ticket);
      const { holders, line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual([holders.length, line.length], [1, 1], "asking again joined nothing");
    },
  },
  {
    name: "of many that come at once exactly one is granted, and no ticket is drawn twice",
    run: async (stage) => {
      const actors = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const replies = await Promise.all(
        Array.from({ length: 40 }, (_, i) => actors[i % 2]!.backend.leases.acquire(stage.request(resource))),
      );
      const tickets = replies.map((reply) =>
        reply.kind === "refused" ? assert.fail(reply.reason) : reply.ticket,
      );
      assert.equal(new Set(tickets).size, 40);
      const granted = replies.filter((reply) => reply.kind === "granted");
      assert.equal(granted.length, 1);
      const first = tickets.reduce((low, ticket) => (ticket < low ? ticket : low));
      assert.equal((granted[0] as { ticket: bigint }).ticket, first, "the lowest ticket holds");
    },
  },
  {
    name: "one who may not wait is refused without a trace",
    run: async (stage) => {
      const a = await stage.actor();
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      const attempt = stage.request(resource, { queue: false });
      const reply = await a.backend.leases.acquire(attempt);
      assert.ok(reply.kind === "refused" && reply.reason === "held");
      const { line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(line, []);
      assert.equal(await stage.release(a, attempt), false, "it left nothing to release");
      assert.equal(await stage.release(a, held), true);
      assert.equal((await a.backend.leases.acquire(attempt)).kind, "granted", "and may come back");
    },
  },
  {
    name: "a full line refuses, and the refused leaves nothing",
    run: async (stage) => {
      const a = await stage.actor();
      const resource = stage.name();
      await stage.granted(a, stage.request(resource));
      for (let i = 0; i < 3; i++) await stage.queued(a, stage.request(resource, { maxWaiters: 3 }));
      const refused = await a.backend.leases.acquire(stage.request(resource, { maxWaiters: 3 }));
      assert.ok(refused.kind === "refused" && refused.reason === "full");
      const { line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.equal(line.length, 3);
    },
  },
  {
    name: "a release removes its own owner's claim, once, and nobody else's",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      assert.equal(await stage.release(b, { ...held, owner: stage.owner() }), false);
      const waiting = await stage.queued(b, stage.request(resource));
      assert.equal(await stage.release(b, waiting), true);
      assert.equal(await stage.release(b, waiting), false, "once");
      const [standing] = await stage.renew(a, held);
      assert.ok(standing?.kind === "renewed" && standing.granted, "the holder was not touched");
      assert.equal(await stage.release(a, held), true);
      assert.equal(await stage.release(a, held), false);
    },
  },
  {
    name: "a departed owner's late acquire is refused, whether or not its release found a claim (R7)",
    run: async (stage) => {
      const a = await stage.actor();
      const resource = stage.name();
      const never = stage.request(resource);
      assert.equal(await stage.release(a, never, 60_000), false);
      const late = await a.backend.leases.acquire(never);
      assert.ok(late.kind === "refused" && late.reason === "departed", "a ghost would have joined");
      const held = await stage.granted(a, stage.request(resource));
      assert.equal(await stage.release(a, held, 60_000), true);
      const again = await a.backend.leases.acquire(held);
      assert.ok(again.kind === "refused" && again.reason === "departed");
      await stage.granted(a, stage.request(resource));
    },
  },
  {
    name: "another capacity is refused while the line lives, and welcome when it is empty",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource, { capacity: 3 }));
      for (const capacity of [1, 2, 4, 30]) {
        const reply = await b.backend.leases.acquire(stage.request(resource, { capacity }));
        assert.ok(reply.kind === "refused" && reply.reason === "shape", `capacity ${capacity}`);
        assert.equal(reply.capacity, 3);
      }
      await stage.release(a, held);
      await stage.granted(b, stage.request(resource, { capacity: 2 }));
    },
  },
  {
    name: "inspect shows holders and line, oldest first, with what they said of themselves",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      assert.deepEqual(await a.backend.leases.inspect(resource, { timeoutMs: 5_000 }), {
        holders: [],
        line: [],
      });
      const value = 'text with "quotes", spaces \u0000 and \u{1f600} |:/% ';
      const one = await stage.granted(a, stage.request(resource, { capacity: 5, weight: 2, value }));
      const two = await stage.granted(b, stage.request(resource, { capacity: 5, weight: 3, value: "two" }));
      const three = await stage.queued(
        a,
        stage.request(resource, { capacity: 5, weight: 4, value: "three" }),
      );
      const four = await stage.queued(b, stage.request(resource, { capacity: 5 }));
      const { holders, line } = await b.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      const seen = [...holders, ...line].map(({ owner, ticket, weight, value }) => ({
        owner,
        ticket,
        weight,
        value,
      }));
      assert.deepEqual(
        seen,
        [one, two, three, four].map(({ owner, ticket, weight, value }) => ({ owner, ticket, weight, value })),
      );
      assert.equal(holders.length, 2);
      for (const { remainingMs } of [...holders, ...line])
        assert.ok(remainingMs > 0 && remainingMs <= stage.ttlMs + 1_000, `remainingMs is ${remainingMs}`);
    },
  },
];
