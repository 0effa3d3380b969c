import type { AcquireRequest } from "@leasehold/core";
import assert from "node:assert/strict";

import type { Case } from "../case.ts";

/** Who is granted, when, and who hears of it. */
export const grantCases: readonly Case[] = [
  {
    name: "grants are given in order of arrival, each pushed to the process that waits, with its ticket",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const ttlMs = fixture.ttlMs * 10;
      let holder = {
        peer: a,
        claim: (await fixture.granted(a, fixture.request(resource, { ttlMs }))) as AcquireRequest & {
          ticket: bigint;
        },
      };
      const line = [];
      for (const peer of [b, a, b, b, a])
        line.push({ peer, claim: await fixture.queued(peer, fixture.request(resource, { ttlMs })) });
      for (const next of line) {
        const heardBefore = a.pushes.length + b.pushes.length;
        assert.equal(await fixture.release(holder.peer, holder.claim), true);
        await fixture.hears(next.peer, next.claim);
        assert.equal(a.pushes.length + b.pushes.length, heardBefore + 1, "nobody else was told");
        holder = next;
      }
    },
  },
  {
    name: "tickets grow over release, expiry and an empty line",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      let last = 0n;
      for (let i = 0; i < 12; i++) {
        const peer = i % 2 === 0 ? a : b;
        const claim = await fixture.granted(peer, fixture.request(resource));
        assert.ok(claim.ticket > last, `ticket ${claim.ticket} after ${last}`);
        last = claim.ticket;
        if (i === 5) await fixture.elapse(fixture.ttlMs * 2 + 1_000);
        else assert.equal(await fixture.release(peer, claim), true);
      }
    },
  },
  {
    name: "nobody slips in between a release and the next in line",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      const waiting = await fixture.queued(b, fixture.request(resource));
      const [, barging, trying] = await Promise.all([
        fixture.release(a, held),
        a.backend.leases.acquire(fixture.request(resource)),
        a.backend.leases.acquire(fixture.request(resource, { queue: false })),
      ]);
      assert.equal(barging.kind, "queued");
      assert.equal(trying.kind, "refused");
      await fixture.hears(b, waiting);
    },
  },
  {
    name: "renewing a waiting claim tells that it was granted, so that no push is needed",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const held = await fixture.granted(a, fixture.request(resource));
      const waiting = await fixture.queued(b, fixture.request(resource));
      const [before] = await fixture.renew(b, waiting);
      assert.ok(before?.kind === "renewed" && !before.granted && before.aheadMs > 0);
      await fixture.release(a, held);
      const [after] = await fixture.renew(b, waiting);
      assert.ok(after?.kind === "renewed" && after.granted, "granted by now");
      assert.equal(after.ticket, waiting.ticket);
      assert.equal((await fixture.granted(b, waiting)).ticket, waiting.ticket, "and acquire says the same");
    },
  },
  {
    name: "a grant that nobody here knows is given back",
    run: async (fixture) => {
      const a = await fixture.peer();
      const forgetful = await fixture.peer({ knowsGrants: false });
      const resource = fixture.name();
      const ttlMs = fixture.ttlMs * 10;
      const held = await fixture.granted(a, fixture.request(resource, { ttlMs }));
      await fixture.queued(forgetful, fixture.request(resource, { ttlMs }));
      const last = await fixture.queued(a, fixture.request(resource, { ttlMs }));
      await fixture.release(a, held);
      await fixture.hears(a, last);
    },
  },
  {
    name: "a batch of renewals is answered in order, each for itself",
    run: async (fixture) => {
      const a = await fixture.peer();
      const claims = await Promise.all(
        Array.from({ length: 120 }, () =>
          fixture.granted(a, fixture.request(fixture.name(), { ttlMs: fixture.ttlMs * 10 })),
        ),
      );
      const isGone = (index: number): boolean => index % 7 === 3;
      await Promise.all(claims.filter((_, index) => isGone(index)).map((claim) => fixture.release(a, claim)));
      const answers = await fixture.renew(a, ...claims);
      assert.equal(answers.length, claims.length);
      answers.forEach((answer, index) => {
        assert.equal(answer.kind, isGone(index) ? "gone" : "renewed", `claim ${index}`);
        if (answer.kind === "renewed") assert.equal(answer.ticket, claims[index]!.ticket);
      });
    },
  },
  {
    name: "an acknowledgement counts from before its request was sent (R4)",
    run: async (fixture) => {
      const a = await fixture.peer();
      const { clock } = a.backend;
      const before = clock.now();
      const claim = await fixture.granted(a, fixture.request(fixture.name()));
      const between = clock.now();
      assert.ok(claim.validFrom.monoMs <= between.monoMs, "not from the future");
      const [answer] = await fixture.renew(a, claim);
      assert.ok(answer?.kind === "renewed");
      assert.ok(answer.validFrom.monoMs >= claim.validFrom.monoMs, "a renewal does not count from earlier");
      assert.ok(answer.validFrom.monoMs <= clock.now().monoMs);
      assert.ok(
        claim.validFrom.monoMs >= before.monoMs - fixture.ttlMs / 2,
        "nor from half a ttl before the call",
      );
    },
  },
];
