import type { AcquireRequest } from "@leasehold/core";
import assert from "node:assert/strict";

import type { Case } from "../case.ts";

/** Who is granted, when, and who hears of it. */
export const grantCases: readonly Case[] = [
  {
    name: "grants are given in order of arrival, each pushed to the process that waits, with its ticket",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const ttlMs = stage.ttlMs * 10;
      let holder = {
        actor: a,
        claim: (await stage.granted(a, stage.request(resource, { ttlMs }))) as AcquireRequest & {
          ticket: bigint;
        },
      };
      const line = [];
      for (const actor of [b, a, b, b, a])
        line.push({ actor, claim: await stage.queued(actor, stage.request(resource, { ttlMs })) });
      for (const next of line) {
        const heardBefore = a.pushes.length + b.pushes.length;
        assert.equal(await stage.release(holder.actor, holder.claim), true);
        await stage.hears(next.actor, next.claim);
        assert.equal(a.pushes.length + b.pushes.length, heardBefore + 1, "nobody else was told");
        holder = next;
      }
    },
  },
  {
    name: "tickets grow over release, expiry and an empty line",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      let last = 0n;
      for (let i = 0; i < 12; i++) {
        const actor = i % 2 === 0 ? a : b;
        const claim = await stage.granted(actor, stage.request(resource));
        assert.ok(claim.ticket > last, `ticket ${claim.ticket} after ${last}`);
        last = claim.ticket;
        if (i === 5) await stage.elapse(stage.ttlMs * 2 + 1_000);
        else assert.equal(await stage.release(actor, claim), true);
      }
    },
  },
  {
    name: "nobody slips in between a release and the next in line",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      const waiting = await stage.queued(b, stage.request(resource));
      const [, barging, trying] = await Promise.all([
        stage.release(a, held),
        a.backend.leases.acquire(stage.request(resource)),
        a.backend.leases.acquire(stage.request(resource, { queue: false })),
      ]);
      assert.equal(barging.kind, "queued");
      assert.equal(trying.kind, "refused");
      await stage.hears(b, waiting);
    },
  },
  {
    name: "renewing a waiting claim tells that it was granted, so that no push is needed",
    run: async (stage) => {
      const [a, b] = [await stage.actor(), await stage.actor()];
      const resource = stage.name();
      const held = await stage.granted(a, stage.request(resource));
      const waiting = await stage.queued(b, stage.request(resource));
      const [before] = await stage.renew(b, waiting);
      assert.ok(before?.kind === "renewed" && !before.granted && before.aheadMs > 0);
      await stage.release(a, held);
      const [after] = await stage.renew(b, waiting);
      assert.ok(after?.kind === "renewed" && after.granted, "granted by now");
      assert.equal(after.ticket, waiting.ticket);
      assert.equal((await stage.granted(b, waiting)).ticket, waiting.ticket, "and acquire says the same");
    },
  },
  {
    name: "a grant that nobody here knows is given back",
    run: async (stage) => {
      const a = await stage.actor();
      const forgetful = await stage.actor({ knowsGrants: false });
      const resource = stage.name();
      const ttlMs = stage.ttlMs * 10;
      const held = await stage.granted(a, stage.request(resource, { ttlMs }));
      await stage.queued(forgetful, stage.request(resource, { ttlMs }));
      const last = await stage.queued(a, stage.request(resource, { ttlMs }));
      await stage.release(a, held);
      await stage.hears(a, last);
    },
  },
  {
    name: "a batch of renewals is answered in order, each for itself",
    run: async (stage) => {
      const a = await stage.actor();
      const claims = await Promise.all(
        Array.from({ length: 120 }, () =>
          stage.granted(a, stage.request(stage.name(), { ttlMs: stage.ttlMs * 10 })),
        ),
      );
      const isGone = (index: number): boolean => index % 7 === 3;
      await Promise.all(claims.filter((_, index) => isGone(index)).map((claim) => stage.release(a, claim)));
      const answers = await stage.renew(a, ...claims);
      assert.equal(answers.length, claims.length);
      answers.forEach((answer, index) => {
        assert.equal(answer.kind, isGone(index) ? "gone" : "renewed", `claim ${index}`);
        if (answer.kind === "renewed") assert.equal(answer.ticket, claims[index]!.ticket);
      });
    },
  },
  {
    name: "an acknowledgement counts from before its request was sent (R4)",
    run: async (stage) => {
      const a = await stage.actor();
      const { clock } = a.backend;
      const before = clock.now();
      const claim = await stage.granted(a, stage.request(stage.name()));
      const between = clock.now();
      assert.ok(claim.validFrom.monoMs <= between.monoMs, "not from the future");
      const [answer] = await stage.renew(a, claim);
      assert.ok(answer?.kind === "renewed");
      assert.ok(answer.validFrom.monoMs >= claim.validFrom.monoMs, "a renewal does not count from earlier");
      assert.ok(answer.validFrom.monoMs <= clock.now().monoMs);
      assert.ok(
        claim.validFrom.monoMs >= before.monoMs - stage.ttlMs / 2,
        "nor from half a ttl before the call",
      );
    },
  },
];
