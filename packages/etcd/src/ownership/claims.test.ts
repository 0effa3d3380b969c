import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, test } from "vitest";
import { ClaimKeys } from "../format/claim-keys.ts";
import type { JoinRequest } from "../format/claim-request.ts";
import type { SharedLeases } from "../leases/shared-leases.ts";
import type { Calls } from "../rpc/calls.ts";
import { Claims, type OwnerRecord } from "./claims.ts";
import { Sweeper } from "./sweeper.ts";

let clock: SimClock;
let claims: Claims;
beforeEach(() => {
  clock = new SimClock();
  const calls = { clock, now: () => clock.now() } as unknown as Calls;
  const sweeper = new Sweeper(calls, { ours: [] } as unknown as SharedLeases);
  claims = new Claims(calls, new ClaimKeys("leasehold", "0123456789abcdef"), sweeper);
});

let drawn = 0;
function request(resource = "r"): JoinRequest {
  const owner = (++drawn).toString(16).padStart(32, "0");
  const shape = { ttlMs: 1000, capacity: 1, weight: 1, queue: true, value: "", maxWaiters: 1, timeoutMs: 1 };
  return { resource, owner, ...shape };
}

const textOf = ({ key }: OwnerRecord): string => key.toString("latin1");
const sharing = (record: OwnerRecord): readonly OwnerRecord[] => claims.at(textOf(record));

/** An acquire that was answered, and whose claim was then released and deleted. */
function comeAndGo(resource?: string, departedForMs = 0): OwnerRecord {
  const wanted = request(resource);
  const record = claims.enter(wanted);
  record.doubtful = true;
  claims.leave(record);
  claims.release(wanted, departedForMs).settled();
  return record;
}

test("however many claims come and go one after the other, they use one key", () => {
  const names = new Set(Array.from({ length: 100 }, () => textOf(comeAndGo())));
  expect(names.size).toBe(1);
});

test("claims that are there at once have keys of their own; later ones use those again", () => {
  const requests = Array.from({ length: 10 }, () => request());
  const records = requests.map((each) => claims.enter(each));
  const names = new Set(records.map(textOf));
  expect(names.size).toBe(10);
  records.forEach((record, index) => {
    const { settled } = claims.release(requests[index]!, 0);
    claims.leave(record);
    settled();
  });
  for (let i = 0; i < 10; i++) expect(names.has(textOf(comeAndGo()))).toBe(true);
});

test("all tries of one owner write under one key", () => {
  const wanted = request();
  expect(claims.enter(wanted)).toBe(claims.enter({ ...wanted, capacity: 5, weight: 2 }));
});

test("a key is not used again before the store has said that the claim is deleted", () => {
  const wanted = request();
  const record = claims.enter(wanted);
  record.doubtful = true;
  claims.leave(record);
  const { settled } = claims.release(wanted, 0);
  expect(sharing(record), "a sweep leaves it to the release").toEqual([record]);
  const other = claims.enter(request());
  expect(textOf(other)).not.toBe(textOf(record));
  settled();
  expect(claims.isWanted(textOf(record)), "what appears there now is litter").toBe(false);
  expect(textOf(claims.enter(request()))).toBe(textOf(record));
});

test("nor while a copy of its acquire may still arrive", () => {
  const keep = claims.enter(request());
  clock.block(1_000);
  const record = comeAndGo("r", 60_000);
  expect(textOf(comeAndGo())).not.toBe(textOf(record));
  clock.block(59_999);
  expect(claims.hasDeparted(record)).toBe(true);
  expect(claims.isExpecting()).toBe(true);
  clock.block(1);
  expect(claims.hasDeparted(record)).toBe(false);
  expect(claims.isExpecting()).toBe(false);
  expect(textOf(claims.enter(request()))).toBe(textOf(record));
  expect(claims.has(keep)).toBe(true);
});

test("a release in the middle of an acquire: the key rests until the acquire has ended too", () => {
  const wanted = request();
  const record = claims.enter(wanted);
  const keep = claims.enter(request());
  const { settled } = claims.release(wanted, 0);
  expect(claims.has(record)).toBe(false);
  settled();
  expect(textOf(claims.enter(request()))).not.toBe(textOf(record));
  claims.leave(record);
  expect(textOf(claims.enter(request()))).toBe(textOf(record));
  expect(claims.has(keep)).toBe(true);
});

test("an acquire that surely left nothing is forgotten; one that went unanswered is not", () => {
  const [refused, unanswered] = [claims.enter(request()), claims.enter(request())];
  unanswered.doubtful = true;
  claims.leave(refused);
  claims.leave(unanswered);
  expect(sharing(refused)).toEqual([]);
  expect(sharing(unanswered)).toEqual([unanswered]);
});
