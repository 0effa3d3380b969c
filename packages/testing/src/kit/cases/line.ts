import assert from "node:assert/strict";

import type { Case } from "../case.ts";

/** Joining, leaving, and who stands where. */
export const lineCases: readonly Case[] = [
  {
    name: "a free resource is granted, and whoever comes next waits",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      const waiting = await fixture.queued(b, fixture.request(resource));
      assert.equal(held.ttlMs, fixture.ttlMs);
      assert.ok(waiting.ticket > held.ticket, "tickets grow in order of arrival");
      assert.ok(waiting.aheadMs > 0, "somebody alive is ahead");
    },
  },
  {
    name: "a repeated acquire gets the same answer for as long as its claim lives",
    run: async (fixture) => {
      const a = await fixture.peer();
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      const waiting = await fixture.queued(a, fixture.request(resource));
      assert.equal((await fixture.granted(a, held)).ticket, held.ticket);
      assert.equal((await fixture.queued(a, waiting)).ticket, waiting.ticket);
      assert.equal((await fixture.granted(a, { ...held, queue: false })).ticket, held.ticket);
      const { holders, line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual([holders.length, line.length], [1, 1], "asking again joined nothing");
    },
  },
  {
    name: "of many that come at once exactly one is granted, and no ticket is drawn twice",
    run: async (fixture) => {
      const peers = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const replies = await Promise.all(
        Array.from({ length: 40 }, (_, i) => peers[i % 2]!.backend.leases.acquire(fixture.request(resource))),
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
    run: async (fixture) => {
      const a = await fixture.peer();
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      const attempt = fixture.request(resource, { queue: false });
      const reply = await a.backend.leases.acquire(attempt);
      assert.ok(reply.kind === "refused" && reply.reason === "held");
      const { line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.deepEqual(line, []);
      assert.equal(await fixture.release(a, attempt), false, "it left nothing to release");
      assert.equal(await fixture.release(a, held), true);
      assert.equal((await a.backend.leases.acquire(attempt)).kind, "granted", "and may come back");
    },
  },
  {
    name: "a full line refuses, and the refused leaves nothing",
    run: async (fixture) => {
      const a = await fixture.peer();
      const resource = fixture.name();
      await fixture.granted(a, fixture.request(resource));
      for (let i = 0; i < 3; i++) await fixture.queued(a, fixture.request(resource, { maxWaiters: 3 }));
      const refused = await a.backend.leases.acquire(fixture.request(resource, { maxWaiters: 3 }));
      assert.ok(refused.kind === "refused" && refused.reason === "full");
      const { line } = await a.backend.leases.inspect(resource, { timeoutMs: 5_000 });
      assert.equal(line.length, 3);
    },
  },
  {
    name: "a release removes its own owner's claim, once, and nobody else's",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      assert.equal(await fixture.release(b, { ...held, owner: fixture.owner() }), false);
      const waiting = await fixture.queued(b, fixture.request(resource));
      assert.equal(await fixture.release(b, waiting), true);
      assert.equal(await fixture.release(b, waiting), false, "once");
      const [standing] = await fixture.renew(a, held);
      assert.ok(standing?.kind === "renewed" && standing.granted, "the holder was not touched");
      assert.equal(await fixture.release(a, held), true);
      assert.equal(await fixture.release(a, held), false);
    },
  },
  {
    name: "a departed owner's late acquire is refused, whether or not its release found a claim (R7)",
    run: async (fixture) => {
      const a = await fixture.peer();
      const resource = fixture.name();
      const never = fixture.request(resource);
      assert.equal(await fixture.release(a, never, 60_000), false);
      const late = await a.backend.leases.acquire(never);
      assert.ok(late.kind === "refused" && late.reason === "departed", "a ghost would have joined");
      const held = await fixture.granted(a, fixture.request(resource));
      assert.equal(await fixture.release(a, held, 60_000), true);
      const again = await a.backend.leases.acquire(held);
      assert.ok(again.kind === "refused" && again.reason === "departed");
      await fixture.granted(a, fixture.request(resource));
    },
  },
  {
    name: "another capacity is refused while the line lives, and welcome when it is empty",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource, { capacity: 3 }));
      for (const capacity of [1, 2, 4, 30]) {
        const reply = await b.backend.leases.acquire(fixture.request(resource, { capacity }));
        assert.ok(reply.kind === "refused" && reply.reason === "shape", `capacity ${capacity}`);
        assert.equal(reply.capacity, 3);
      }
      await fixture.release(a, held);
      await fixture.granted(b, fixture.request(resource, { capacity: 2 }));
    },
  },
  {
    name: "inspect shows holders and line, oldest first, with what they said of themselves",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      assert.deepEqual(await a.backend.leases.inspect(resource, { timeoutMs: 5_000 }), {
        holders: [],
        line: [],
      });
      const value = 'text with "quotes", spaces \u0000 and \u{1f600} |:/% ';
      const one = await fixture.granted(a, fixture.request(resource, { capacity: 5, weight: 2, value }));
      const two = await fixture.granted(
        b,
        fixture.request(resource, { capacity: 5, weight: 3, value: "two" }),
      );
      const three = await fixture.queued(
        a,
        fixture.request(resource, { capacity: 5, weight: 4, value: "three" }),
      );
      const four = await fixture.queued(b, fixture.request(resource, { capacity: 5 }));
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
        assert.ok(remainingMs > 0 && remainingMs <= fixture.ttlMs + 1_000, `remainingMs is ${remainingMs}`);
    },
  },
];
