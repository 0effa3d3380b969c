import assert from "node:assert/strict";

import { elapsedMs, isLeaseholdError, type Lease } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";

import type { Case } from "../case.ts";
import { finish, settle } from "../settle.ts";

const resourceOf = (name: string): string => `default:lock:${name}`;

/** One process whose way to the store fails. Nobody else's does. */
export const faultCases: readonly Case[] = [
  {
    name: "a holder behind a black hole is told before the store can grant to another",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.processBehindLink(), await fixture.process()];
      const held = await a.coordinator.lock(name).acquire();
      let next: Lease | undefined;
      const waiting = b.coordinator
        .lock(name)
        .acquire()
        .then((lease) => (next = lease));
      await fixture.inLine(b);
      const { clock } = memoryBackend();
      const cutAt = clock.now();
      a.link.cut();
      await fixture.until("the signal", fixture.ttlMs + 500, () => held.signal.aborted);
      assert.equal(next, undefined, "nobody else may hold it yet");
      assert.ok(!held.isHeld());
      assert.ok(isLeaseholdError(held.signal.reason, "LEASE_LOST"));
      if (fixture.harness.concurrent)
        assert.ok(elapsedMs(clock, cutAt) < fixture.ttlMs, "within the ttl, in real time");
      const order = a.events
        .map(({ type }) => type)
        .filter((type) => type === "unconfirmed" || type === "lost");
      assert.deepEqual(order, ["unconfirmed", "lost"], "first unconfirmed, once, then lost");
      await finish(fixture, waiting, fixture.ttlMs + 3_000);
      assert.ok(next!.isHeld() && next!.fencingToken > held.fencingToken);
      await a.link.heal();
      assert.equal(await finish(fixture, held.release()), "gone");
      assert.ok(next!.isHeld(), "a late release of the lost lease touched nobody");
    },
  },
  {
    name: "over a slow link a lease counts from the send of its request, not from the reply (R4)",
    needs: ["link"],
    run: async (fixture) => {
      const ttlMs = fixture.ttlMs * 3;
      const delayMs = fixture.ttlMs / 5;
      const a = await fixture.processBehindLink({ ttlMs });
      await (await a.coordinator.lock(fixture.name()).acquire()).release();
      a.link.slow(delayMs);
      const lease = await finish(fixture, a.coordinator.lock(fixture.name()).acquire());
      assert.ok(
        lease.remainingMs <= ttlMs - 2 * delayMs,
        `${lease.remainingMs} ms left after ${2 * delayMs} on the way`,
      );
      const isRenewed = (): boolean => a.events.some(({ type }) => type === "renewed");
      await fixture.until("renewed", ttlMs, isRenewed);
      const renewal = a.events.find((event) => event.type === "renewed");
      assert.ok((renewal?.remainingMs ?? Infinity) <= ttlMs - 2 * delayMs, "nor does a renewal");
      a.link.slow(0);
    },
  },
  {
    name: "a lost reply to acquire is answered by asking again: one claim, one grant",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      // So long a ttl that a second claim could not wait for the end of the first.
      const a = await fixture.processBehindLink({ ttlMs: fixture.ttlMs * 30 });
      await (await a.coordinator.lock(fixture.name()).acquire()).release();
      const lost = a.link.loseReplyTo("acquire", resourceOf(name));
      const acquiring = a.coordinator.lock(name).acquire();
      const lease = await finish(fixture, acquiring, 5_000);
      await lost;
      assert.ok(lease.isHeld());
      const { holders, line } = await a.coordinator.inspect(name);
      assert.deepEqual([holders.length, line.length], [1, 0]);
      assert.equal(holders[0]?.owner, lease.owner);
      assert.equal(await lease.release(), "released");
      assert.ok((await a.coordinator.lock(name).tryAcquire())?.isHeld());
    },
  },
  {
    name: "a lost reply to a renewal costs nothing but another renewal",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const a = await fixture.processBehindLink();
      const lease = await a.coordinator.lock(name).acquire();
      const lost = settle(a.link.loseReplyTo("renew", resourceOf(name)));
      await fixture.until("a reply was lost", fixture.ttlMs, lost.isSettled);
      await fixture.elapse(fixture.ttlMs * 2);
      assert.ok(lease.isHeld(), "still held two ttls later");
      assert.equal(await lease.release(), "released");
    },
  },
  {
    name: "a lost reply to release leaves no phantom lock",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const ttlMs = fixture.ttlMs * 30;
      const [a, b] = [await fixture.processBehindLink({ ttlMs }), await fixture.process({ ttlMs })];
      const lease = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await fixture.inLine(b);
      const lost = a.link.loseReplyTo("release", resourceOf(name));
      const release = settle(lease.release());
      await finish(fixture, lost);
      assert.ok(!lease.isHeld(), "belief ended at the call");
      const next = await finish(fixture, waiting, 5_000);
      assert.ok(next.isHeld(), "it took effect");
      await fixture.until("release settled", 3_000, release.isSettled);
      assert.ok(release.error() === undefined || isLeaseholdError(release.error(), "OUTCOME_UNKNOWN"));
      assert.equal(await finish(fixture, lease.release()), "released", "asked again, it says what happened");
      assert.ok(next.isHeld(), "and the repeated release touched nobody");
    },
  },
  {
    name: "a call that nothing answers settles in time, and leaves nothing once the store is back",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.processBehindLink(), await fixture.process()];
      await (await a.coordinator.lock(fixture.name()).acquire()).release();
      a.link.cut();
      const waiting = settle(a.coordinator.lock(name).acquire({ waitMs: 300 }));
      await fixture.until("settled", 800, waiting.isSettled);
      const { error } = waiting;
      assert.ok(
        isLeaseholdError(error(), "OUTCOME_UNKNOWN") || isLeaseholdError(error(), "BACKEND_UNAVAILABLE"),
        String(error()),
      );
      await a.link.heal();
      await fixture.elapse(fixture.ttlMs);
      const free = async (): Promise<boolean> => (await b.coordinator.inspect(name)).holders.length === 0;
      await fixture.until("free", fixture.ttlMs + 2_000, free);
    },
  },
  {
    name: "an acquire that arrives after its caller's release joins as nobody's ghost (R7)",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const ttlMs = fixture.ttlMs * 20;
      const [a, b] = [await fixture.processBehindLink({ ttlMs }), await fixture.process({ ttlMs })];
      await (await a.coordinator.lock(fixture.name()).acquire()).release();
      a.link.holdRequests();
      const waiting = settle(a.coordinator.lock(name).acquire({ waitMs: 400 }));
      await fixture.until("given up", 1_500, waiting.isSettled);
      assert.ok(isLeaseholdError(waiting.error(), "OUTCOME_UNKNOWN"), String(waiting.error()));
      a.link.newConnectionsPass();
      // The withdrawal gets through on a new connection, and stands before the old bytes do.
      await fixture.elapse(3_000);
      await a.link.deliverHeld();
      // The old bytes may be carried out after the first look. Where a mark refuses them the line
      // is free at once; where they are swept, in a renewal period; never only after a ttl.
      const free = async (): Promise<boolean> => (await b.coordinator.lock(name).tryAcquire()) !== null;
      await fixture.until("no ghost stands", fixture.ttlMs + 1_000, free);
      const { holders, line } = await b.coordinator.inspect(name);
      assert.equal(holders.length + line.length, 1, "the one who was granted, and nobody else");
    },
  },
  {
    name: "a first request that arrives after its retry was granted and released is refused (R7)",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const ttlMs = fixture.ttlMs * 8;
      const [a, b] = [await fixture.processBehindLink({ ttlMs }), await fixture.process()];
      await (await a.coordinator.lock(fixture.name()).acquire()).release();
      a.link.holdRequests();
      const acquiring = a.coordinator.lock(name).acquire();
      await fixture.elapse(100);
      a.link.newConnectionsPass();
      const lease = await finish(fixture, acquiring, ttlMs);
      assert.equal(await finish(fixture, lease.release()), "released");
      await a.link.deliverHeld();
      // At once where a mark refuses it; where it is swept, within a renewal period; never only at
      // the end of its ttl.
      const free = async (): Promise<boolean> => (await b.coordinator.lock(name).tryAcquire()) !== null;
      await fixture.until("nobody's ghost stands in the way", fixture.ttlMs * 2 + 2_000, free);
    },
  },
  {
    name: "a grant whose push is lost arrives with the next renewal",
    needs: ["pushes"],
    run: async (fixture) => {
      const name = fixture.name();
      const [a, b] = [await fixture.process(), await fixture.processBehindLink()];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await fixture.inLine(b);
      b.link.dropPushes!();
      await held.release();
      const lease = await finish(fixture, waiting, fixture.ttlMs / 3 + 500);
      assert.ok(lease.isHeld());
    },
  },
  {
    name: "a waiter cut off for less than its ttl keeps its place",
    needs: ["link"],
    run: async (fixture) => {
      const name = fixture.name();
      const ttlMs = fixture.ttlMs * 5;
      const [a, b, c] = [
        await fixture.process(),
        await fixture.processBehindLink({ ttlMs }),
        await fixture.process(),
      ];
      const held = await a.coordinator.lock(name).acquire();
      const waiting = b.coordinator.lock(name).acquire();
      await fixture.inLine(b);
      const behind = settle(c.coordinator.lock(name).acquire());
      await fixture.inLine(c);
      b.link.cut();
      await held.release();
      await fixture.elapse(fixture.ttlMs);
      await b.link.heal();
      const lease = await finish(fixture, waiting, ttlMs + 2_000);
      assert.ok(lease.isHeld());
      assert.ok(!behind.isSettled(), "nobody went past it");
    },
  },
];
