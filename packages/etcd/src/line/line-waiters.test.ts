import { systemClock } from "@leasehold/core";
import type { IEvent, IKeyValue } from "etcd3";
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { ClaimKeys } from "../format/claim-keys.ts";
import { Line } from "./line.ts";
import { LineWaiters } from "./line-waiters.ts";
import type { OwnClaim } from "./own-claim.ts";
import { SharedLease } from "../leases/shared-lease.ts";

const keys = new ClaimKeys("leasehold", "0123456789abcdef");
const lease = new SharedLease("7", systemClock);
const ownerOf = (ticket: number): string => ticket.toString(16).padStart(32, "0");

let waiters: LineWaiters;
beforeEach(() => {
  waiters = new LineWaiters(keys);
});

function claim(ticket: number, weight = 1, capacity = 1): OwnClaim {
  const key = keys.claim("r", capacity, weight, ticket);
  const place = { resource: "r", owner: ownerOf(ticket), key, capacity, weight };
  const seen = {
    granted: false,
    evicted: false,
    writtenBy: systemClock.now(),
    askedAt: systemClock.now(),
    proof: lease.proof,
  };
  return { ...place, ticket: BigInt(ticket), lease, ...seen };
}

function kv(ticket: number, revision: number, weight = 1, capacity = 1): IKeyValue {
  const key = keys.claim("r", capacity, weight, ticket);
  const [create_revision, mod_revision] = [String(ticket), String(revision)];
  return { key, create_revision, mod_revision, version: "1", value: Buffer.alloc(0), lease: "7" };
}

/** The claim that came at `ticket` is deleted at `revision`. */
function deletion(ticket: number, revision: number, weight = 1, capacity = 1): IEvent {
  const gone = kv(ticket, revision, weight, capacity);
  return { type: "Delete", kv: gone, prev_kv: gone };
}

test("a waiter is granted by the deletion of the claim ahead, without any read", () => {
  const waiting = claim(20);
  waiters.add(waiting, 1, 20n);
  expect(waiters.watchedFrom(20n)).toEqual({ granted: [], gone: [], unclear: false });
  expect(waiters.deleted([deletion(10, 30)])).toEqual({ granted: [waiting], gone: [], unclear: false });
  expect(waiters.size).toBe(0);
});

test("deletions of claims behind change nothing", () => {
  waiters.add(claim(20), 1, 20n);
  waiters.watchedFrom(20n);
  expect(waiters.deleted([deletion(25, 30), deletion(26, 31)]).granted).toEqual([]);
});

test("of many waiters each deletion grants the next one only", () => {
  const line = [20, 21, 22].map((ticket) => claim(ticket));
  line.forEach((waiting, index) => waiters.add(waiting, index + 1, waiting.ticket));
  waiters.watchedFrom(22n);
  expect(waiters.deleted([deletion(10, 30)]).granted).toEqual([line[0]]);
  expect(waiters.deleted([deletion(20, 31)]).granted).toEqual([line[1]]);
});

test("a watch that began after the claim joined is not enough: the line must be read", () => {
  const waiting = claim(20);
  waiters.add(waiting, 1, 20n);
  expect(waiters.watchedFrom(25n).unclear).toBe(true);
  expect(waiters.read(new Line(keys, [kv(20, 20)], 26n)).granted).toEqual([waiting]);
});

test("a deletion that the reply already knew of is not taken off twice", () => {
  waiters.watchedFrom(5n);
  waiters.add(claim(20), 2, 20n);
  expect(waiters.deleted([deletion(8, 15)]).granted).toEqual([]);
  expect(waiters.deleted([deletion(9, 21)]).granted).toEqual([]);
  expect(waiters.deleted([deletion(10, 22)]).granted).toHaveLength(1);
});

test("a deletion that was told before the reply came is taken off when it comes", () => {
  waiters.add(claim(11), 1, 11n);
  waiters.watchedFrom(11n);
  waiters.deleted([deletion(10, 30), deletion(11, 31)]);
  const late = claim(20);
  expect(waiters.add(late, 2, 20n).granted).toEqual([late]);
});

test("a reply from before all that is remembered calls for a read", () => {
  waiters.watchedFrom(5n);
  waiters.add(claim(6), 1, 6n);
  for (let ticket = 100; ticket < 400; ticket++) waiters.deleted([deletion(ticket, ticket + 1000)]);
  expect(waiters.add(claim(20), 2, 20n).unclear).toBe(true);
  expect(waiters.add(claim(1390), 2, 1390n).unclear).toBe(false);
});

test("a waiter whose own claim is deleted is gone, and never granted by what else that revision deleted", () => {
  const mine = claim(20);
  waiters.add(mine, 1, 20n);
  waiters.watchedFrom(20n);
  // A lease that ends takes the holder's claim and the waiter's with it, in one revision.
  expect(waiters.deleted([deletion(10, 30), deletion(20, 30)])).toEqual({
    granted: [],
    gone: [mine],
    unclear: false,
  });
});

test("a waiter whose claim was deleted before its reply came is gone, though nobody is ahead", () => {
  waiters.watchedFrom(5n);
  waiters.deleted([deletion(10, 30), deletion(20, 31)]);
  const mine = claim(20);
  expect(waiters.add(mine, 1, 20n)).toEqual({ granted: [], gone: [mine], unclear: false });
  expect(waiters.size).toBe(0);
});

test("a read that lacks the waiter says it is gone; one that is older than the waiter says nothing", () => {
  const mine = claim(20);
  waiters.add(mine, 1, 20n);
  expect(waiters.read(new Line(keys, [kv(10, 10)], 19n)).gone).toEqual([]);
  expect(waiters.read(new Line(keys, [kv(10, 10)], 21n)).gone).toEqual([mine]);
});

test("a deletion that tells too little calls for a read", () => {
  waiters.add(claim(20), 1, 20n);
  waiters.watchedFrom(20n);
  const compacted = { ...deletion(10, 30), prev_kv: null as unknown as IKeyValue };
  expect(waiters.deleted([compacted])).toEqual({ granted: [], gone: [], unclear: true });
  const hostile = { ...deletion(10, 31), kv: { ...kv(10, 31), key: Buffer.from("leasehold/r/1/x") } };
  expect(waiters.deleted([hostile]).unclear).toBe(true);
});

test("whatever the order of joins, deletions, late replies and reads, exactly those are granted who fit", () => {
  const scenario = fc.record({
    capacity: fc.integer({ min: 1, max: 5 }),
    weights: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 12 }),
    leaving: fc.array(fc.nat(), { maxLength: 12 }),
    late: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
    readAt: fc.nat({ max: 12 }),
  });
  fc.assert(
    fc.property(scenario, ({ capacity, weights, leaving, late, readAt }) => {
      const mirror = new LineWaiters(keys);
      mirror.watchedFrom(0n);
      let revision = 0;
      let store: IKeyValue[] = [];
      const granted = new Set<bigint>();
      const replies: (() => void)[] = [];
      const note = (claims: readonly OwnClaim[]): void => claims.forEach(({ ticket }) => granted.add(ticket));
      const line = (): Line => new Line(keys, store, BigInt(revision));

      weights.forEach((wanted, index) => {
        const weight = Math.min(wanted, capacity);
        const ticket = ++revision;
        store = [...store, kv(ticket, ticket, weight, capacity)];
        const { ahead } = line().withTicket(BigInt(ticket))!;
        const reply = (): void =>
          note(mirror.add(claim(ticket, weight, capacity), ahead, BigInt(ticket)).granted);
        if (late[index] === true) replies.push(reply);
        else reply();
        // Somebody in front leaves, as holders do, and as waiters may.
        const gone = store[(leaving[index] ?? 0) % store.length]!;
        if (leaving[index] === undefined || gone.create_revision === String(ticket)) return;
        store = store.filter((each) => each !== gone);
        const key = keys.parse(gone.key)!;
        note(
          mirror.deleted([deletion(Number(gone.create_revision), ++revision, key.weight, capacity)]).granted,
        );
        if (index === readAt) note(mirror.read(line()).granted);
      });
      replies.forEach((reply) => reply());
      // Late replies of claims that were deleted meanwhile are for the next read to find.
      note(mirror.read(line()).granted);
      for (const { ticket, granted: fits } of line().claims) expect(granted.has(ticket)).toBe(fits);
    }),
    { numRuns: 500 },
  );
});

/** The key that came at `ticket`, named like a claim, is deleted; it had no lease. */
function litterDeletion(ticket: number, revision: number): IEvent {
  const gone = { ...kv(ticket, revision), lease: "0" };
  return { type: "Delete", kv: gone, prev_kv: gone };
}

test("the deletion of a key without a lease grants nobody: a read has left it out already", () => {
  const waiting = claim(30);
  // The litter, a holder and itself were counted; then the line was read.
  waiters.add(waiting, 2, 30n);
  waiters.watchedFrom(30n);
  waiters.read(new Line(keys, [{ ...kv(10, 10), lease: "0" }, kv(20, 20), kv(30, 30)], 31n));
  expect(waiters.deleted([litterDeletion(10, 32)])).toEqual({ granted: [], gone: [], unclear: true });
  expect(waiters.deleted([deletion(20, 33)]).granted).toEqual([waiting]);
});

test("a sum that was made before such a deletion, and told after it, takes a read", () => {
  waiters.watchedFrom(30n);
  waiters.deleted([litterDeletion(10, 32)]);
  expect(waiters.add(claim(31), 1, 31n)).toMatchObject({ granted: [], unclear: true });
  expect(waiters.read(new Line(keys, [kv(31, 31)], 32n)).granted).toHaveLength(1);
});

test("a read at the very revision of a sum corrects it: what was counted need not be claims", () => {
  const waiting = claim(20);
  waiters.add(waiting, 1, 20n);
  waiters.watchedFrom(20n);
  const line = new Line(keys, [{ ...kv(10, 10), lease: "0" }, kv(20, 20)], 20n);
  expect(waiters.read(line).granted).toEqual([waiting]);
});
