import assert from "node:assert/strict";

import { isLeaseholdError, type Leader, type Leadership } from "@leasehold/core";

import type { Case } from "../case.ts";
import { finish, settle } from "../settle.ts";

/** Leaders, terms, and those who look on. */
export const electionCases: readonly Case[] = [
  {
    name: "one candidate leads, the next takes over when it resigns, in a higher term",
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const election = a.coordinator.election(name, { candidate: "a", value: "http://a" });
      assert.equal(await election.leader(), null);
      const first = await election.campaign();
      assert.equal(first.candidate, "a");
      assert.equal(first.term, first.fencingToken);
      const campaign = b.coordinator
        .election(name, { candidate: "b" })
        .campaign({ ttlMs: fixture.ttlMs * 10 });
      await fixture.inLine(b);
      assert.deepEqual(await election.leader(), { candidate: "a", value: "http://a", term: first.term });
      assert.equal(await first.resign(), "released");
      assert.ok(!first.isHeld() && first.signal.aborted, "its work was told");
      const second = await finish(fixture, campaign, 1_000);
      assert.ok(second.isHeld() && second.term > first.term);
      assert.equal((await election.leader())?.candidate, "b");
    },
  },
  {
    name: "a leader's proclamations are seen, the last one stays, and none comes after its end",
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process();
      const election = coordinator.election(name, { candidate: "a" });
      const leadership = await election.campaign();
      await Promise.all(["one", "two", "three"].map((value) => leadership.proclaim(value)));
      assert.equal((await election.leader())?.value, "three");
      await assert.rejects(leadership.proclaim("x".repeat(4_096)), { code: "INVALID_ARGUMENT" });
      await fixture.elapse(fixture.ttlMs);
      assert.equal((await election.leader())?.value, "three", "renewals do not bring the first one back");
      await leadership.resign();
      await assert.rejects(leadership.proclaim("too late"), { code: "LEASE_LOST" });
      assert.equal(await election.leader(), null);
    },
  },
  {
    name: "observers see each leader, value and vacancy, in order, and terms never go back",
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b, observer] = [await fixture.process(), await fixture.process(), await fixture.process()];
      const watcher = observer.coordinator.election(name, { candidate: "observer" });
      const stop = new AbortController();
      const seen = collect(watcher.observe({ signal: stop.signal }));
      await fixture.until("a vacancy", 2_000, () => seen.length === 1);
      const one = await a.coordinator.election(name, { candidate: "a", value: "1" }).campaign();
      await fixture.until("a leads", 2_000, () => seen.length === 2);
      await one.proclaim("2");
      await fixture.until("a's value", 2_000, () => seen.length === 3);
      const campaign = b.coordinator.election(name, { candidate: "b", value: "3" }).campaign();
      await fixture.inLine(b);
      await one.resign();
      const two = await finish(fixture, campaign);
      await fixture.until("b leads", 2_000, () => seen.at(-1)?.candidate === "b");
      await two.resign();
      await fixture.until("a vacancy", 2_000, () => seen.at(-1) === null);
      stop.abort();
      await fixture.until("ended", 2_000, () => seen.ended);
      assert.deepEqual(
        [...seen],
        [
          null,
          { candidate: "a", value: "1", term: one.term },
          { candidate: "a", value: "2", term: one.term },
          { candidate: "b", value: "3", term: two.term },
          null,
        ],
      );
    },
  },
  {
    name: "a leader that dies is seen to be gone, and the next candidate leads within its ttl",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b, observer] = [
        await fixture.processBehindLink(),
        await fixture.process(),
        await fixture.process(),
      ];
      const stop = new AbortController();
      const seen = collect(
        observer.coordinator.election(name, { candidate: "o" }).observe({ signal: stop.signal }),
      );
      const first = await a.coordinator.election(name, { candidate: "a" }).campaign();
      const campaign = b.coordinator.election(name, { candidate: "b" }).campaign();
      await fixture.inLine(b);
      a.link.cut();
      const second = await finish(fixture, campaign, fixture.ttlMs + 3_000);
      assert.ok(!first.isHeld() && first.signal.aborted, "it knew before");
      assert.ok(second.term > first.term);
      await fixture.until("seen", 2_000, () => seen.at(-1)?.candidate === "b");
      const terms = [...seen].flatMap((leader) => (leader === null ? [] : [leader.term]));
      assert.deepEqual(terms, [first.term, second.term]);
      stop.abort();
      await a.link.heal();
    },
  },
  {
    name: "lead runs its body in each term, one after the other, until its signal aborts",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process();
      const stop = new AbortController();
      const terms: Leadership[] = [];
      let running = 0;
      const leading = settle(
        coordinator.election(name, { candidate: "a" }).lead(
          async (leadership) => {
            assert.equal(++running, 1, "no term begins before the last one's body has ended");
            terms.push(leadership);
            await new Promise((resolve) =>
              leadership.signal.addEventListener("abort", resolve, { once: true }),
            );
            running -= 1;
          },
          { signal: stop.signal },
        ),
      );
      await fixture.until("the first term", 2_000, () => terms.length === 1);
      await fixture.store.deleteClaim(`default:election:${name}`, terms[0]!.owner);
      await fixture.until("the second term", fixture.ttlMs + 2_000, () => terms.length === 2);
      assert.ok(isLeaseholdError(terms[0]!.signal.reason, "LEASE_LOST"));
      const handOver = terms[1]!.resign();
      await fixture.until("the third term", 2_000, () => terms.length === 3);
      assert.equal(await handOver, "released");
      assert.ok(terms[2]!.term > terms[1]!.term && terms[1]!.term > terms[0]!.term);
      stop.abort();
      await fixture.until("settled", 2_000, leading.isSettled);
      assert.equal(leading.error(), undefined);
      assert.equal(
        await coordinator.election(name, { candidate: "x" }).leader(),
        null,
        "handed over at once",
      );
    },
  },
  {
    name: "a leader that resigns is renewed until its work has ended, and only then hands over",
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const work = Promise.withResolvers<void>();
      const stop = new AbortController();
      let leadership: Leadership | undefined;
      const leading = settle(
        a.coordinator.election(name, { candidate: "a" }).lead(
          async (mine) => {
            leadership ??= mine;
            await work.promise;
          },
          { signal: stop.signal },
        ),
      );
      await fixture.until("a leads", 2_000, () => leadership !== undefined);
      const campaign = b.coordinator.election(name, { candidate: "b" }).campaign();
      const elected = settle(campaign);
      await fixture.inLine(b);
      const handOver = leadership!.resign();
      await fixture.elapse(fixture.ttlMs * 2);
      assert.ok(leadership!.signal.aborted, "its work was told");
      assert.ok(leadership!.isHeld() && !elected.isSettled(), "and is still going on");
      stop.abort();
      work.resolve();
      assert.equal(await finish(fixture, handOver), "released");
      assert.ok((await finish(fixture, campaign, 1_000)).isHeld());
      await fixture.until("settled", 2_000, leading.isSettled);
    },
  },
  {
    name: "an error of a leader's body ends its candidacy, and frees the place",
    run: async (fixture) => {
      const name = fixture.name();
      const { coordinator } = await fixture.process();
      const election = coordinator.election(name, { candidate: "a" });
      const own = new RangeError("the body's own");
      await assert.rejects(
        election.lead(() => {
          throw own;
        }),
        own,
      );
      let led = 0;
      await election.lead(() => void (led += 1));
      assert.equal(led, 1, "a body that returns has led enough");
      assert.equal(await election.leader(), null);
    },
  },
  {
    name: "who sees a higher term ends a leadership of its own at once",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const ttlMs = fixture.ttlMs * 30;
      const [a, b] = [await fixture.process({ ttlMs }), await fixture.process({ ttlMs })];
      const election = a.coordinator.election(name, { candidate: "a" });
      const first = await election.campaign();
      await fixture.store.deleteClaim(`default:election:${name}`, first.owner);
      assert.equal(await election.leader(), null);
      assert.ok(first.isHeld(), "a vacancy proves nothing");
      const second = await b.coordinator.election(name, { candidate: "b" }).campaign();
      assert.equal((await election.leader())?.term, second.term);
      assert.ok(!first.isHeld(), "long before its next renewal");
      assert.equal((first.signal.reason as { reason: string }).reason, "superseded");
    },
  },
  {
    name: "a candidate whose place died stands again, and is elected in its turn",
    needs: ["deleteClaim"],
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.process()];
      const leader = await a.coordinator.election(name, { candidate: "a" }).campaign();
      const campaign = b.coordinator.election(name, { candidate: "b" }).campaign();
      await fixture.inLine(b);
      const { line } = await a.coordinator.inspect(name, { recipe: "election" });
      assert.equal(line[0]?.origin?.pid, process.pid);
      await fixture.store.deleteClaim(`default:election:${name}`, line[0]!.owner);
      const requeued = (): boolean => b.events.some(({ type }) => type === "requeued");
      await fixture.until("it stands again", fixture.ttlMs / 3 + 1_000, requeued);
      await leader.resign();
      const { term } = await finish(fixture, campaign);
      assert.ok(term > leader.term);
      const elected = await a.coordinator.election(name, { candidate: "a" }).leader();
      assert.deepEqual([elected?.candidate, elected?.term], ["b", term]);
    },
  },
];

/** What an observation yields, as it comes. */
function collect(leaders: AsyncIterable<Leader | null>): (Leader | null)[] & { ended: boolean } {
  const seen = Object.assign([] as (Leader | null)[], { ended: false });
  const read = async (): Promise<void> => {
    for await (const leader of leaders) seen.push(leader);
    seen.ended = true;
  };
  void read();
  return seen;
}
