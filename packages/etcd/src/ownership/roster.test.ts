import type { AcquireRequest } from "@leasehold/core";
import { beforeEach, expect, test } from "vitest";
import { ClaimKeys } from "../format/claim-keys.ts";
import type { OwnerRecord } from "./roster.ts";
import { Roster } from "./roster.ts";

let roster: Roster;
beforeEach(() => {
  roster = new Roster(new ClaimKeys("leasehold", "0123456789abcdef"));
});

let drawn = 0;
function request(resource = "r"): AcquireRequest {
  const owner = (++drawn).toString(16).padStart(32, "0");
  const shape = { ttlMs: 1000, capacity: 1, weight: 1, queue: true, value: "", maxWaiters: 1, timeoutMs: 1 };
  return { resource, owner, ...shape };
}

const textOf = ({ key }: OwnerRecord): string => key.toString("latin1");

/** An acquire that was answered, and whose claim was then released and deleted. */
function comeAndGo(resource?: string, departedForMs = 0, nowMs = 0): OwnerRecord {
  const wanted = request(resource);
  const record = roster.enter(wanted);
  record.doubtful = true;
  roster.leave(record);
  roster.release(wanted, nowMs, departedForMs);
  roster.deleted(record, nowMs);
  return record;
}

test("however many claims come and go one after the other, they use one key", () => {
  const names = new Set(Array.from({ length: 100 }, () => textOf(comeAndGo())));
  expect(names.size).toBe(1);
});

test("claims that are there at once have keys of their own; later ones use those again", () => {
  const requests = Array.from({ length: 10 }, () => request());
  const records = requests.map((each) => roster.enter(each));
  const names = new Set(records.map(textOf));
  expect(names.size).toBe(10);
  records.forEach((record, index) => {
    roster.release(requests[index]!, 0, 0);
    roster.leave(record);
    roster.deleted(record, 0);
  });
  for (let i = 0; i < 10; i++) expect(names.has(textOf(comeAndGo()))).toBe(true);
});

test("all tries of one owner write under one key", () => {
  const wanted = request();
  expect(roster.enter(wanted)).toBe(roster.enter({ ...wanted, capacity: 5, weight: 2 }));
});

test("a key is not used again before the store has said that the claim is deleted", () => {
  const wanted = request();
  const record = roster.enter(wanted);
  record.doubtful = true;
  roster.leave(record);
  roster.release(wanted, 0, 0);
  expect(roster.at(textOf(record)), "a sweep leaves it to the release").toBe(record);
  const other = roster.enter(request());
  expect(textOf(other)).not.toBe(textOf(record));
  roster.deleted(record, 0);
  expect(roster.at(textOf(record)), "what appears there now is litter").toBe(undefined);
  expect(textOf(roster.enter(request()))).toBe(textOf(record));
});

test("nor while a copy of its acquire may still arrive", () => {
  const keep = roster.enter(request());
  const record = comeAndGo("r", 60_000, 1_000);
  expect(textOf(comeAndGo())).not.toBe(textOf(record));
  expect(roster.hasDeparted(record, 60_999)).toBe(true);
  expect(roster.someDeparted(60_999)).toBe(true);
  expect(roster.hasDeparted(record, 61_000)).toBe(false);
  expect(roster.someDeparted(61_000)).toBe(false);
  expect(textOf(roster.enter(request()))).toBe(textOf(record));
  expect(roster.has(keep)).toBe(true);
});

test("a release in the middle of an acquire: the key rests until the acquire has ended too", () => {
  const wanted = request();
  const record = roster.enter(wanted);
  const keep = roster.enter(request());
  roster.release(wanted, 0, 0);
  expect(roster.has(record)).toBe(false);
  roster.deleted(record, 0);
  expect(textOf(roster.enter(request()))).not.toBe(textOf(record));
  roster.leave(record);
  expect(textOf(roster.enter(request()))).toBe(textOf(record));
  expect(roster.has(keep)).toBe(true);
});

test("an acquire that surely left nothing is forgotten; one that went unanswered is not", () => {
  const [refused, unanswered] = [roster.enter(request()), roster.enter(request())];
  unanswered.doubtful = true;
  roster.leave(refused);
  roster.leave(unanswered);
  expect(roster.at(textOf(refused))).toBe(undefined);
  expect(roster.at(textOf(unanswered))).toBe(unanswered);
});
