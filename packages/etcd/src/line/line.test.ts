import type { IKeyValue } from "etcd3";
import { expect, test } from "vitest";
import { ClaimKeys } from "../format/claim-keys.ts";
import { Line } from "./line.ts";

const keys = new ClaimKeys("leasehold", "0123456789abcdef");
const ownerOf = (digit: string): string => digit.repeat(32);

function kv(key: Buffer, revision: number, lease = "7", value = ""): IKeyValue {
  const create_revision = String(revision);
  const stored = { value: Buffer.from(value), lease };
  return { key, create_revision, mod_revision: create_revision, version: "1", ...stored };
}

function claim(digit: string, revision: number, weight = 1, capacity = 1): IKeyValue {
  return kv(
    keys.claim("r", capacity, weight, revision),
    revision,
    "7",
    `${ownerOf(digit)}:${"0".repeat(16)}:{}`,
  );
}

const granted = (line: Line): string[] =>
  line.claims.filter((each) => each.granted).map(({ record }) => record.owner[0]!);

test("claims stand in the order in which they were created, whatever the order of their keys", () => {
  const line = new Line(keys, [claim("a", 30), claim("b", 10), claim("c", 20)], 40n);
  expect(line.claims.map(({ record, ticket }) => [record.owner[0], ticket])).toEqual([
    ["b", 10n],
    ["c", 20n],
    ["a", 30n],
  ]);
  expect(granted(line)).toEqual(["b"]);
  expect(line.revision).toBe(40n);
});

test("claims are granted while the weights of all up to them fit; nobody overtakes one that does not", () => {
  const line = new Line(keys, [claim("a", 1, 3, 5), claim("b", 2, 3, 5), claim("c", 3, 1, 5)], 9n);
  expect(granted(line)).toEqual(["a"]);
  expect(line.claims.map(({ ahead }) => ahead)).toEqual([0, 3, 6]);
  expect(line.total).toBe(7);
});

test("sums of the largest weights stay exact", () => {
  const most = 2 ** 31 - 1;
  const crowd = Array.from({ length: 1000 }, (_, index) => kv(keys.claim("r", most, most, index), index + 1));
  expect(new Line(keys, crowd, 1001n).total).toBe(1000 * most);
});

test("what this backend cannot have written takes no room, and is counted", () => {
  const garbage = [
    kv(Buffer.from("leasehold/r/1/garbage"), 1),
    // Without a lease it would never die.
    kv(keys.claim("r", 1, 1, 9), 2, "0"),
  ];
  const line = new Line(keys, [...garbage, claim("a", 3)], 9n);
  expect(granted(line)).toEqual(["a"]);
  expect(line.malformed).toBe(1);
  expect(line.litter).toEqual([{ key: garbage[1]!.key, revision: 2n }]);
  expect(line.isStrange).toBe(true);
});

test("an empty line", () => {
  const line = new Line(keys, [], 1n);
  expect(line.total).toBe(0);
  expect(line.ofOwner(ownerOf("a"))).toBe(undefined);
  expect(line.withTicket(1n)).toBe(undefined);
});

test("a claim is found by its ticket, and, where values were read, by its owner", () => {
  const line = new Line(
    keys,
    [claim("a", 1), claim("b", 2), kv(keys.claim("r", 1, 1, 3), 3, "7", "no owner")],
    9n,
  );
  expect(line.withTicket(2n)?.record.owner).toBe(ownerOf("b"));
  expect(line.ofOwner(ownerOf("b"))?.ticket).toBe(2n);
  expect(line.withTicket(3n)).toMatchObject({ record: { owner: "", value: "", evicted: false }, ahead: 2 });
});
