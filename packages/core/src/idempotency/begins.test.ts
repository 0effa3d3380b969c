import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, it } from "vitest";

import type { Context } from "../context.ts";
import type { BeginReply, BeginRequest } from "../contract/idempotency-store.ts";
import { LeaseholdError } from "../errors.ts";
import { Begins } from "./begins.ts";

let clock: SimClock;
let asked: { readonly owner: string; readonly answer: PromiseWithResolvers<BeginReply> }[];
let withdrawn: string[];
let begins: Begins;

beforeEach(() => {
  clock = new SimClock();
  [asked, withdrawn] = [[], []];
  const begin = ({ owner }: BeginRequest): Promise<BeginReply> => {
    const answer = Promise.withResolvers<BeginReply>();
    asked.push({ owner, answer });
    return answer.promise;
  };
  const context = {
    ...{ clock, random: { fraction: () => 0.5, hex: () => "" }, closing: new AbortController().signal },
    backend: { idempotency: { begin } },
  };
  begins = new Begins(context as unknown as Context, ({ owner }) => withdrawn.push(owner));
});

/** What comes of it, as text. */
async function ask(owner: string, record = "r", fingerprint = "f"): Promise<string> {
  const times = { leaseMs: 3_000, retentionMs: 9_000, timeoutMs: 2_000 };
  const request = { record, owner, fingerprint, takeOver: true, watched: false, ...times };
  try {
    return `${owner} ${(await begins.ask(request)).kind}`;
  } catch (error) {
    return `${owner} ${(error as LeaseholdError).code}`;
  }
}

const owners = (): string[] => asked.map(({ owner }) => owner);
const begun: BeginReply = {
  ...{ kind: "begun", token: 1n, attempt: 1, leaseMs: 3_000 },
  validFrom: { monoMs: 0, wallMs: 0 },
};
const unknown = new LeaseholdError("OUTCOME_UNKNOWN", "lost");

it("asks one question for all who came while an answer was awaited, after it has come", async () => {
  const outcomes = Promise.all(["a", "b", "c", "d"].map((owner) => ask(owner)));
  expect(owners()).toEqual(["a"]);
  asked[0]!.answer.resolve({ kind: "in-progress", remainingMs: 10 });
  await clock.advance(0);
  expect(owners()).toEqual(["a", "b"]);
  const last = ask("e");
  asked[1]!.answer.resolve(begun);
  await clock.advance(0);
  expect(owners(), "who came after the second question asks anew").toEqual(["a", "b", "e"]);
  asked[2]!.answer.resolve({ kind: "mismatch" });
  expect(await outcomes).toEqual(["a in-progress", "b begun", "c in-progress", "d in-progress"]);
  expect(await last).toBe("e mismatch");
});

it("asks other questions by themselves: another payload, another record", async () => {
  void Promise.all([ask("a"), ask("b", "r", "other"), ask("c", "other")]);
  expect(owners()).toEqual(["a", "b", "c"]);
});

it("asks again as the same owner when a reply was lost; others wait for that", async () => {
  const outcomes = Promise.all([ask("a"), ask("b")]);
  asked[0]!.answer.reject(unknown);
  await clock.advance(25);
  expect(owners()).toEqual(["a", "a"]);
  asked[1]!.answer.resolve(begun);
  await clock.advance(0);
  asked[2]!.answer.resolve({ kind: "in-progress", remainingMs: 10 });
  expect(await outcomes).toEqual(["a begun", "b in-progress"]);
});

it("fails those who came meanwhile, too; of them nothing was sent", async () => {
  const outcomes = Promise.all([ask("a"), ask("b")]);
  await clock.advance(4_990);
  asked[0]!.answer.reject(unknown);
  expect(await outcomes).toEqual(["a OUTCOME_UNKNOWN", "b BACKEND_UNAVAILABLE"]);
  expect([owners(), withdrawn]).toEqual([["a"], ["a"]]);
  const next = ask("c");
  asked[1]!.answer.resolve(begun);
  expect(await next).toBe("c begun");
});

it("sends many by and by, and fails the rest when the store is silent", async () => {
  const outcomes = Promise.all(Array.from({ length: 1_000 }, (_, i) => ask(`${i}`, `r${i}`)));
  expect(asked).toHaveLength(256);
  for (const { answer } of asked.slice(0, 100)) answer.resolve(begun);
  await clock.advance(0);
  expect(asked).toHaveLength(356);
  await clock.advance(5_000);
  for (const { answer } of asked.slice(100)) answer.reject(unknown);
  const ended = (await outcomes).map((outcome) => outcome.split(" ")[1]);
  expect(ended.slice(0, 100).every((kind) => kind === "begun")).toBe(true);
  expect(ended.slice(100, 356).every((code) => code === "OUTCOME_UNKNOWN")).toBe(true);
  expect(ended.slice(356).every((code) => code === "BACKEND_UNAVAILABLE")).toBe(true);
});
