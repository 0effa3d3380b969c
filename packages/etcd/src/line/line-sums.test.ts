import type { IKeyValue, IRangeRequest, IRequestOp, ITxnResponse } from "etcd3";
import fc from "fast-check";
import { expect, test } from "vitest";
import { ClaimKeys } from "../format/claim-keys.ts";
import { LineSums } from "./line-sums.ts";

const keys = new ClaimKeys("leasehold", "0123456789abcdef");
const capacity = 1_000;

/** Answers reads as etcd does; `sent` is how many keys it had to send. */
class Store {
  sent = 0;
  reads = 0;
  readonly #kvs: IKeyValue[];

  constructor(kvs: readonly IKeyValue[]) {
    this.#kvs = [...kvs];
  }

  answer(operations: readonly IRequestOp[]): ITxnResponse {
    this.reads += operations.length;
    const responses = operations.map((operation) => ({ response_range: this.#range(operation) }));
    return { header: {}, succeeded: true, responses } as unknown as ITxnResponse;
  }

  #range(operation: IRequestOp): object {
    const { key, range_end, count_only } = (operation as { request_range: IRangeRequest }).request_range;
    const found = this.#kvs.filter(
      (kv) => Buffer.compare(key as Buffer, kv.key) <= 0 && Buffer.compare(kv.key, range_end as Buffer) < 0,
    );
    const kvs = count_only === true ? [] : found;
    this.sent += kvs.length;
    return { kvs, count: String(found.length), more: false };
  }
}

const kv = (key: Buffer, lease = "7"): IKeyValue => ({ key, lease }) as IKeyValue;
const claims = (weights: readonly number[]): IKeyValue[] =>
  weights.map((weight, slot) => kv(keys.claim("r", capacity, weight, slot)));

function sum(sums: LineSums, store: Store, of: number = capacity): { total: number; claims: number } {
  const question = sums.ask("r", of);
  return question.read(store.answer(question.reads), 0);
}

test("the sum is exact, whatever was in the line when it was last added up", () => {
  const crowd = fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 60 });
  fc.assert(
    fc.property(fc.array(crowd, { minLength: 1, maxLength: 4 }), (lines) => {
      const sums = new LineSums(keys);
      for (const weights of lines)
        expect(sum(sums, new Store(claims(weights)))).toEqual({
          total: weights.reduce((total, weight) => total + weight, 0),
          claims: weights.length,
        });
    }),
  );
});

test("from the second time on, 10 holders and 1,000 cost the same: no key of a common weight is sent", () => {
  const costs = [100, 1_000, 10_000].map((holders) => {
    const sums = new LineSums(keys);
    const weights = Array.from({ length: holders }, (_, index) => 1 + (index % 10));
    sum(sums, new Store(claims(weights)));
    const store = new Store(claims([...weights, 11]));
    expect(sum(sums, store).claims).toBe(holders + 1);
    return [store.reads, store.sent];
  });
  expect(costs).toEqual([
    [21, 1],
    [21, 1],
    [21, 1],
  ]);
});

test("a transaction never has more operations than etcd takes", () => {
  const sums = new LineSums(keys);
  const weights = Array.from({ length: 1_000 }, (_, index) => 1 + (index % 200));
  sum(sums, new Store(claims(weights)));
  const store = new Store(claims(weights));
  expect(sum(sums, store).claims).toBe(1_000);
  expect(store.reads + 1).toBeLessThanOrEqual(128);
});

test("what is no claim is not added up", () => {
  const strange = [
    kv(Buffer.from("leasehold/r/1000/garbage")),
    kv(Buffer.from("leasehold/r/1000/zzz")),
    kv(keys.claim("r", capacity, 4, 99), "0"),
  ];
  expect(sum(new LineSums(keys), new Store([...claims([2, 3]), ...strange]))).toEqual({
    total: 5,
    claims: 2,
  });
});

test("a lock's line is one count", () => {
  const store = new Store([kv(keys.claim("r", 1, 1, 1)), kv(keys.claim("r", 1, 1, 2))]);
  expect(sum(new LineSums(keys), store, 1)).toEqual({ total: 2, claims: 2 });
  expect([store.reads, store.sent]).toEqual([1, 0]);
});

test("where a sum lets nobody in, a read is asked for, and not again for a while", () => {
  const sums = new LineSums(keys);
  const wants = (name: string, monoMs: number): boolean =>
    sums.wantsRead(name, capacity, { monoMs, wallMs: 0 });
  expect([wants("r", 0), wants("r", 9_999), wants("s", 9_999)]).toEqual([true, false, true]);
  expect([wants("r", 10_000), wants("r", 10_001)]).toEqual([true, false]);
});
