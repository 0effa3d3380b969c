import { SimClock } from "@leasehold/testing";
import type { ITxnRequest } from "etcd3";
import { beforeEach, expect, test } from "vitest";
import type { Calls, Request } from "./calls.ts";
import { RpcFailure } from "./failure.ts";
import { JointTxns } from "./joint-txns.ts";

let clock: SimClock;
let sent: { readonly request: ITxnRequest; readonly answer: PromiseWithResolvers<unknown> }[];
let txns: JointTxns;
beforeEach(() => {
  clock = new SimClock();
  sent = [];
  const txn = (request: ITxnRequest): Promise<unknown> => {
    const answer = Promise.withResolvers<unknown>();
    sent.push({ request, answer });
    return answer.promise;
  };
  const unary = (request: Request<unknown>): Promise<unknown> =>
    request({ kv: { txn } } as unknown as Parameters<Request<unknown>>[0], {});
  txns = new JointTxns({ clock, unary } as unknown as Calls);
});

const wanted = (name: string): ITxnRequest => ({
  success: [{ request_delete_range: { key: Buffer.from(name) } }],
});
const run = (name: string, timeoutMs = 1_000): Promise<string> =>
  txns.run(wanted(name), timeoutMs).then(String, (error: unknown) => (error as RpcFailure).kind);
const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`);

/** How many transactions each request that was sent carries. */
const sizes = (): number[] =>
  sent.map(({ request }) => (request.success ?? []).filter((part) => part.request_txn).length || 1);

test("a few leave at once and alone; those that come meanwhile go together, each with its own answer", async () => {
  const outcomes = Promise.all(names(300).map((name) => run(name)));
  expect(sizes()).toEqual(names(8).map(() => 1));
  sent[0]!.answer.resolve({ succeeded: true });
  sent[1]!.answer.resolve({ succeeded: false });
  await clock.advance(0);
  expect(sizes().slice(8)).toEqual([128, 128]);
  const parts = (from: number): unknown[] =>
    names(128).map((_, index) => ({ response_txn: { succeeded: (from + index) % 2 === 0 } }));
  for (const { answer } of sent.slice(2, 8)) answer.resolve({ succeeded: true });
  sent[8]!.answer.resolve({ succeeded: true, responses: parts(8) });
  sent[9]!.answer.reject(new RpcFailure("unanswered", "lost"));
  await clock.advance(0);
  expect(sizes().slice(10)).toEqual([36]);
  sent[10]!.answer.resolve({ succeeded: true, responses: parts(0) });
  const [first, second, ...others] = await outcomes;
  expect([first, second]).toEqual(["true", "false"]);
  expect(new Set(others.slice(0, 6))).toEqual(new Set(["true"]));
  expect(others.slice(6, 10)).toEqual(["true", "false", "true", "false"]);
  expect(others.filter((outcome) => outcome === "unanswered")).toHaveLength(128);
});

test("one whose time is over before it could leave was not sent", async () => {
  const outcomes = Promise.all([...names(8).map((name) => run(name)), run("late", 100), run("last")]);
  await clock.advance(200);
  for (const { answer } of [...sent]) answer.resolve({ succeeded: true });
  await clock.advance(0);
  expect(sizes()).toEqual(names(9).map(() => 1));
  sent[8]!.answer.resolve({ succeeded: true });
  expect(await outcomes).toEqual([...names(8).map(() => "true"), "busy", "true"]);
});
