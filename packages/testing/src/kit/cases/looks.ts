import assert from "node:assert/strict";

import type { ClaimView, HolderView, Look } from "@leasehold/core";

import type { Case } from "../case.ts";
import type { Peer } from "../fixture.ts";

/** Those who look again and again, and are told what changed. */
export const lookCases: readonly Case[] = [
  {
    name: "who looks again, and is told what changed, knows what an inspection shows",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const shape = { announce: true, capacity: 5, ttlMs: fixture.ttlMs * 10 };
      const onlooker = new Onlooker(b, resource);
      await onlooker.agrees("nobody");
      const one = await fixture.granted(a, fixture.request(resource, { ...shape, value: "1" }));
      await onlooker.agrees("one holder");
      const two = await fixture.granted(b, fixture.request(resource, { ...shape, weight: 3 }));
      await onlooker.agrees("a second holder");
      await onlooker.agrees("nothing new");
      const three = await fixture.granted(a, fixture.request(resource, shape));
      await onlooker.agrees("a third holder");
      const waiting = await fixture.queued(a, fixture.request(resource, { ...shape, weight: 2 }));
      await onlooker.agrees("one who waits");
      await fixture.propose(a, three, "another value", 1);
      await onlooker.agrees("a value");
      await fixture.evict(b, one);
      await onlooker.agrees("an eviction");
      await fixture.renew(a, three, waiting);
      await onlooker.agrees("a renewal");
      await fixture.release(b, two);
      await onlooker.agrees("one left, and one was granted");
      for (const claim of [one, three, waiting]) await fixture.release(a, claim);
      await onlooker.agrees("all left");
      await fixture.granted(b, fixture.request(resource, shape));
      await onlooker.agrees("a line that begins anew");
    },
  },
  {
    name: "who looks again no longer sees a holder that died, whether or not a step has found it dead",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const shape = { announce: true, capacity: 9 };
      const dying = await fixture.granted(a, fixture.request(resource, shape));
      const ttlMs = fixture.ttlMs * 10;
      const living = await fixture.granted(b, fixture.request(resource, { ...shape, ttlMs }));
      const onlooker = new Onlooker(b, resource);
      await onlooker.agrees("two holders");
      const holders = async (): Promise<readonly string[]> =>
        (await onlooker.look()).map(({ owner }) => owner);
      await fixture.until("it died", 2 * fixture.ttlMs + 2_000, async () => (await holders()).length === 1);
      assert.deepEqual(await holders(), [living.owner]);
      const last = await fixture.granted(b, fixture.request(resource, { ...shape, ttlMs }));
      await onlooker.agrees("a step has found it dead");
      assert.deepEqual(await holders(), [living.owner, last.owner]);
      assert.deepEqual(await fixture.renew(a, dying), [{ kind: "gone" }]);
    },
  },
  {
    name: "who has not looked for many changes is not told too little",
    run: async (fixture) => {
      const [a, b] = [await fixture.peer(), await fixture.peer()];
      const resource = fixture.name();
      const shape = { announce: true, capacity: 1_000, ttlMs: fixture.ttlMs * 10 };
      const onlooker = new Onlooker(b, resource);
      const join = () => fixture.granted(a, fixture.request(resource, shape));
      const first = await Promise.all(Array.from({ length: 150 }, join));
      await onlooker.agrees("150 holders");
      for (const batch of [60, 120]) {
        await Promise.all(first.splice(0, batch / 2).map((claim) => fixture.release(a, claim)));
        await Promise.all(Array.from({ length: batch / 2 }, join));
        await onlooker.agrees(`${batch} changes`);
      }
    },
  },
  {
    name: "who asks for the head of the line is told of no more, and of all that changes there",
    run: async (fixture) => {
      const a = await fixture.peer();
      const resource = fixture.name();
      const shape = { announce: true, capacity: 3, ttlMs: fixture.ttlMs * 10 };
      const head = async (known?: string): Promise<Look> =>
        a.backend.leases.look(resource, {
          timeoutMs: 5_000,
          first: 1,
          ...(known !== undefined && { known }),
        });
      const one = await fixture.granted(a, fixture.request(resource, shape));
      const two = await fixture.granted(a, fixture.request(resource, shape));
      const before = await head();
      assert.deepEqual([before.whole, before.holders.map(({ owner }) => owner)], [true, [one.owner]]);
      await fixture.propose(a, one, "value", 1);
      const valued = await head(before.version);
      assert.deepEqual([valued.whole, valued.holders.map(({ value }) => value)], [true, ["value"]]);
      await fixture.release(a, one);
      const after = await head(valued.version);
      assert.deepEqual([after.whole, after.holders.map(({ owner }) => owner)], [true, [two.owner]]);
    },
  },
];

/** What one who looks with the version that it knows has pieced together. */
class Onlooker {
  readonly #peer: Peer;
  readonly #resource: string;
  readonly #known = new Map<string, HolderView>();
  #version: string | undefined;

  constructor(peer: Peer, resource: string) {
    this.#peer = peer;
    this.#resource = resource;
  }

  async look(): Promise<readonly HolderView[]> {
    const version = this.#version;
    const options = { timeoutMs: 5_000, ...(version !== undefined && { known: version }) };
    const seen = await this.#peer.backend.leases.look(this.#resource, options);
    if (seen.whole) this.#known.clear();
    for (const owner of seen.gone) this.#known.delete(owner);
    for (const holder of seen.holders) this.#known.set(holder.owner, holder);
    this.#version = seen.version;
    return [...this.#known.values()].toSorted((x, y) => (x.ticket < y.ticket ? -1 : 1));
  }

  /** Fails unless a look and an inspection show the same. */
  async agrees(what: string): Promise<void> {
    const seen = (await this.look()).map(plain);
    const { holders } = await this.#peer.backend.leases.inspect(this.#resource, { timeoutMs: 5_000 });
    assert.deepEqual(seen, holders.map(plain), what);
  }
}

function plain({ owner, ticket, weight, value, sequence, evicted }: HolderView | ClaimView): HolderView {
  return { owner, ticket, weight, value, sequence, evicted };
}
