import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, test } from "vitest";
import type { Calls } from "../rpc/calls.ts";
import type { Standing } from "../rpc/standing.ts";
import { keepLease } from "./lease-requests.ts";
import { SharedLease } from "./shared-lease.ts";

const ttlMs = 3_000;
const bornMs = 1_000;
let clock: SimClock;
let lease: SharedLease;

beforeEach(async () => {
  clock = new SimClock();
  lease = new SharedLease("7", clock, { validFrom: clock.now(), ttlMs }, true);
  await clock.advance(bornMs);
});

const at = (member: string, term: string): Standing => ({ member, term });

/** A store that was last seen at `before`; its keepalives and reads are answered as listed. */
function store(before: Standing | undefined, ...answers: (Standing & { ttl?: number })[]): Calls {
  let standing = before;
  const next = (): Standing & { ttl?: number } => {
    const answer = answers.shift();
    if (answer === undefined) throw new Error("nothing more was expected");
    standing = answer;
    return answer;
  };
  return {
    clock,
    endpoints: { size: 1 },
    now: () => clock.now(),
    get standing() {
      return standing;
    },
    readStanding: async () => next(),
    unary: async () => {
      const { member, term, ttl = 3 } = next();
      return { TTL: String(ttl), header: { member_id: member, raft_term: term } };
    },
  } as unknown as Calls;
}

const renewed = (): boolean => lease.remainingMs === ttlMs;

test("a keepalive counts with a read after it, by the same member in the term that it was last seen in", async () => {
  expect(await keepLease(store(at("a", "4"), at("a", "4"), at("a", "4")), lease, 500)).toBe(true);
  expect(renewed()).toBe(true);
});

test("before any answer was seen, a read goes ahead", async () => {
  const calls = store(undefined, at("a", "4"), at("a", "4"), at("a", "4"));
  expect(await keepLease(calls, lease, 500)).toBe(true);
  expect(renewed()).toBe(true);
});

test.each<[string, Standing, Standing, Standing]>([
  ["the read is of a later term", at("a", "4"), at("a", "4"), at("a", "5")],
  ["the term changed before the keepalive's answer", at("a", "4"), at("a", "5"), at("a", "5")],
  ["the read was answered by another member", at("a", "4"), at("a", "4"), at("b", "4")],
  ["the keepalive was answered by another member than before", at("b", "4"), at("a", "4"), at("a", "4")],
])("it proves nothing if %s, and is asked again", async (_, before, keepalive, read) => {
  await expect(keepLease(store(before, keepalive, read), lease, 500)).rejects.toThrow("nothing more");
  expect(lease.remainingMs).toBe(ttlMs - bornMs);
  expect(await keepLease(store(before, keepalive, read, read, read), lease, 500)).toBe(true);
  expect(renewed()).toBe(true);
});

test("where every answer is of another term, it gives up, and the lease is what it was", async () => {
  const terms = Array.from({ length: 20 }, (_, i) => at("a", String(5 + i)));
  await expect(keepLease(store(at("a", "4"), ...terms), lease, 500)).rejects.toMatchObject({
    kind: "unanswered",
  });
  expect(lease.remainingMs).toBe(ttlMs - bornMs);
});

test("a lease that the store does not know is gone, whatever the term", async () => {
  expect(await keepLease(store(at("a", "4"), { ...at("b", "5"), ttl: 0 }), lease, 500)).toBe(false);
  expect(lease.gone).toBe(true);
});
