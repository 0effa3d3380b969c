import { SimClock } from "@leasehold/testing";
import { sleep, systemRandom } from "@leasehold/core";
import { beforeEach, expect, test } from "vitest";
import type { Calls } from "../rpc/calls.ts";
import { standingOf } from "../rpc/standing.ts";
import type { SharedLease } from "./shared-lease.ts";
import { SharedLeases } from "./shared-leases.ts";

const ttlMs = 3_000;
/** What core gives one renewal. */
const timeoutMs = ttlMs / 6;
const header = { cluster_id: "1", member_id: "1", revision: "1", raft_term: "1" };
let clock: SimClock;
let leases: SharedLeases;
let lease: SharedLease;
let answerAfterMs: number;
let requests: number;
let suspected: number;
let replaced: () => void;

beforeEach(async () => {
  clock = new SimClock();
  [answerAfterMs, requests, suspected] = [0, 0, 0];
  const calls = {
    clock,
    now: () => clock.now(),
    suspect: () => (suspected += 1),
    endpoints: { size: 1, onReplaced: (listener: () => void) => (replaced = listener) },
    unary: async () => {
      requests += 1;
      await sleep(clock, answerAfterMs);
      return { TTL: ttlMs / 1000, keys: [Buffer.from("key")], header };
    },
    standing: standingOf(header),
    readStanding: async () => {
      requests += 1;
      await sleep(clock, answerAfterMs);
      return standingOf(header);
    },
  };
  leases = new SharedLeases(calls as unknown as Calls, systemRandom, () => {});
  const granted = leases.forAcquire(ttlMs, timeoutMs);
  await clock.advance(1);
  lease = await granted;
  requests = 0;
});

function ask(since = clock.now()): Promise<string> {
  return leases.refresh(lease, since, timeoutMs).then(
    (keys) => [...(keys ?? [])].join(),
    () => "unanswered",
  );
}

test("those who ask at once share a keepalive, a read and a list; a claim that was written meanwhile has the next", async () => {
  answerAfterMs = 100;
  const since = clock.now();
  await clock.advance(10);
  const first = [ask(since), ask(since)];
  await clock.advance(10);
  const later = [ask(), ask()];
  await clock.advance(400);
  expect(await Promise.all([...first, ...later])).toEqual(["key", "key", "key", "key"]);
  expect(requests).toBe(6);
});

test("a store that is slower than a renewal may be keeps its leases: a late answer is taken by who asks again", async () => {
  answerAfterMs = timeoutMs / 2 + 100;
  const since = clock.now();
  const bornAt = lease.proof.validFrom.monoMs;
  await clock.advance(10);
  const first = ask(since);
  await clock.advance(timeoutMs);
  expect(await first).toBe("unanswered");
  expect(suspected).toBe(1);
  const again = ask(since);
  await clock.advance(200);
  expect(await again).toBe("key");
  expect(requests, "nothing was sent again").toBe(3);
  expect(lease.proof.validFrom.monoMs).toBe(bornAt + 11);
});

test("what was asked on a connection that is given up is asked anew", async () => {
  answerAfterMs = 60_000;
  const since = clock.now();
  await clock.advance(10);
  const lost = ask(since);
  await clock.advance(timeoutMs);
  expect(await lost).toBe("unanswered");
  replaced();
  answerAfterMs = 10;
  const again = ask(since);
  await clock.advance(20);
  expect(await again).toBe("key");
});
