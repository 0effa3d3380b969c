import { SimClock, withFaults, type Link } from "@leasehold/testing";
import { beforeEach, describe, expect, it } from "vitest";

import type { Backend } from "../contract/backend.ts";
import type { IdempotencyStore } from "../contract/idempotency-store.ts";
import { createCoordinator, type Coordinator } from "../coordinator.ts";
import { isLeaseholdError, type ErrorCode } from "../errors.ts";
import type { LeaseholdEvent } from "../events.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";
import type { Idempotency, IdempotencyOptions } from "./idempotency.ts";

let clock: SimClock;
let store: MemoryStore;
let calls: string[];

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
  calls = [];
});

/** A backend whose calls are counted. */
function counted(backend: Backend): Backend {
  const { idempotency } = backend;
  const count =
    <A, R>(name: string, call: (argument: A) => R) =>
    (argument: A): R => {
      calls.push(name);
      return call(argument);
    };
  const records: IdempotencyStore = {
    ...idempotency,
    begin: count("begin", (request) => idempotency.begin(request)),
    extend: count("extend", (request) => idempotency.extend(request)),
    finish: count("finish", (request) => idempotency.finish(request)),
  };
  return { ...backend, idempotency: records, [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose]() };
}

function open(options: IdempotencyOptions = {}): {
  coordinator: Coordinator;
  charges: Idempotency;
  link: Link;
  events: LeaseholdEvent[];
} {
  const { backend, link } = withFaults(memoryBackend({ store }));
  const events: LeaseholdEvent[] = [];
  const onEvent = (event: LeaseholdEvent): void => void events.push(event);
  const coordinator = createCoordinator({ backend: counted(backend), ttlMs: 3_000, onEvent });
  return {
    coordinator,
    charges: coordinator.idempotency("charges", { leaseMs: 3_000, ...options }),
    link,
    events,
  };
}

const ofCode = (code: ErrorCode): unknown => expect.toSatisfy((error) => isLeaseholdError(error, code));

describe("round trips", () => {
  it("a first call takes two, a replay one, a duplicate one, a mismatch one", async () => {
    const { charges } = open();
    const gate = Promise.withResolvers<void>();
    const first = charges.run("k", { fingerprint: 1 }, () => gate.promise);
    await clock.advance(1);
    await expect(charges.run("k", { fingerprint: 1 }, () => 0)).rejects.toEqual(
      ofCode("IDEMPOTENCY_IN_PROGRESS"),
    );
    await expect(charges.run("k", { fingerprint: 2 }, () => 0)).rejects.toEqual(
      ofCode("IDEMPOTENCY_MISMATCH"),
    );
    expect(calls.splice(0)).toEqual(["begin", "begin", "begin"]);
    gate.resolve();
    await first;
    expect(calls.splice(0)).toEqual(["finish"]);
    await charges.run("k", { fingerprint: 1 }, () => 0);
    expect(calls).toEqual(["begin"]);
  });

  it("a hundred waiters cost a completion no more than one does", async () => {
    const executor = open();
    const gate = Promise.withResolvers<number>();
    const first = executor.charges.run("k", {}, () => gate.promise);
    const { charges } = open({ conflict: "wait" });
    const waiting = [charges.run("k", {}, () => 0)];
    await clock.advance(10);
    for (let i = 1; i < 100; i++) waiting.push(charges.run("k", {}, () => 0));
    await clock.advance(10);
    calls.length = 0;
    gate.resolve(7);
    await first;
    await clock.advance(0);
    const results = await Promise.all(waiting);
    expect(results.every(({ value, replayed }) => value === 7 && replayed)).toBe(true);
    expect(calls).toEqual(["finish", "begin"]);
  });

  it("a caller that joins waiting callers costs nothing, and one with another payload is refused", async () => {
    const gate = Promise.withResolvers<number>();
    const first = open().charges.run("k", {}, () => gate.promise);
    const { charges } = open({ conflict: "wait" });
    const waiting = charges.run("k", {}, () => 0);
    await clock.advance(10);
    calls.length = 0;
    const second = charges.run("k", {}, () => 0);
    await clock.advance(10);
    expect(calls).toEqual([]);
    await expect(charges.run("k", { fingerprint: 1 }, () => 0)).rejects.toEqual(
      ofCode("IDEMPOTENCY_MISMATCH"),
    );
    gate.resolve(7);
    await first;
    await clock.advance(0);
    expect((await Promise.all([waiting, second])).map(({ value }) => value)).toEqual([7, 7]);
  });
});

describe("a running handler", () => {
  it("is extended every third of its lease, until it ends", async () => {
    const { charges } = open();
    const gate = Promise.withResolvers<void>();
    const running = charges.run("k", {}, () => gate.promise);
    await clock.advance(10_100);
    expect(calls.filter((call) => call === "extend")).toHaveLength(10);
    gate.resolve();
    await running;
    calls.length = 0;
    await clock.advance(60_000);
    expect(calls).toEqual([]);
  });

  it("keeps its key through an outage shorter than what is left of its lease", async () => {
    const { charges, link } = open();
    const gate = Promise.withResolvers<void>();
    let signal: AbortSignal | undefined;
    const running = charges.run("k", {}, async (context) => {
      ({ signal } = context);
      await gate.promise;
    });
    await clock.advance(10);
    link.cut();
    await clock.advance(2_300);
    await link.heal();
    await clock.advance(5_000);
    expect(signal?.aborted).toBe(false);
    gate.resolve();
    expect((await running).record).toBe("stored");
  });

  it("is aborted before the store lets another take over, and at the first look after a pause", async () => {
    const { charges, link } = open();
    let context: { readonly signal: AbortSignal; readonly remainingMs: number } | undefined;
    const running = charges.run("k", {}, async (given) => {
      context = given;
      await new Promise((_, reject) =>
        given.signal.addEventListener("abort", () => reject(given.signal.reason as Error)),
      );
    });
    const ended = expect(running).rejects.toEqual(ofCode("LEASE_LOST"));
    await clock.advance(10);
    link.cut();
    await clock.advance(2_900);
    expect(context?.signal.aborted).toBe(false);
    clock.block(200);
    expect(context?.remainingMs).toBe(0);
    await clock.advance(0);
    expect(context?.signal.aborted).toBe(true);
    await ended;
  });

  it("has its result stored once the store is back, when it ends during an outage", async () => {
    const { charges, link } = open({ leaseMs: 10_000 });
    const running = charges.run("k", {}, () => {
      link.cut();
      return 7;
    });
    await clock.advance(6_000);
    await link.heal();
    await clock.advance(1_000);
    expect(await running).toMatchObject({ value: 7, record: "stored" });
  });

  it("answers `unconfirmed` when the store did not answer to its end", async () => {
    const { charges, link, events } = open();
    const running = charges.run("k", {}, () => {
      link.cut();
      return 7;
    });
    await clock.advance(20_000);
    expect(await running).toMatchObject({ value: 7, record: "unconfirmed" });
    expect(events.at(-1)).toMatchObject({ type: "idempotency", outcome: "unconfirmed" });
  });
});

it("a classifier that throws, or answers nonsense, counts as `unknown`", async () => {
  const broken = [
    () => {
      throw new Error("own trouble");
    },
    () => "whatever" as never,
  ];
  for (const [i, classify] of broken.entries()) {
    const { charges } = open({ classifyResult: classify, classifyError: classify });
    expect(await charges.run(`value-${i}`, {}, () => 7)).toMatchObject({ value: 7, record: "unknown" });
    await expect(charges.run(`error-${i}`, {}, () => Promise.reject(new Error("mine")))).rejects.toThrow(
      "mine",
    );
    calls.length = 0;
    await clock.advance(10_000);
    expect(calls, "nothing is extended any more").toEqual([]);
  }
});

describe("a call that nobody waits for any more", () => {
  it("rejects at once when it is aborted; what the store still gives it is given back", async () => {
    const { charges, link } = open();
    link.slow(100);
    const caller = new AbortController();
    const aborted = charges.run("k", { signal: caller.signal }, () => 0);
    await clock.advance(50);
    const reason = new Error("gone home");
    caller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await clock.advance(1_000);
    link.slow(0);
    expect(await open().charges.run("k", {}, ({ attempt }) => attempt)).toMatchObject({
      value: 2,
      record: "stored",
    });
  });

  it("has its unanswered begin taken back as soon as the store is back", async () => {
    const { charges, link } = open({ leaseMs: 600_000, maxDurationMs: 600_000 });
    link.holdRequests();
    const refused = expect(charges.run("k", {}, () => 0)).rejects.toEqual(ofCode("OUTCOME_UNKNOWN"));
    await clock.advance(6_000);
    await refused;
    await link.heal();
    await clock.advance(3_000);
    expect(await open().charges.run("k", {}, ({ attempt }) => attempt)).toMatchObject({ record: "stored" });
  });

  it("is refused by a close, which leaves no timer", async () => {
    const { coordinator, charges } = open({ conflict: "wait" });
    const gate = Promise.withResolvers<void>();
    const first = open().charges.run("k", {}, () => gate.promise);
    const waiting = expect(charges.run("k", {}, () => 0)).rejects.toEqual(ofCode("CLOSED"));
    await clock.advance(10);
    await coordinator.close();
    await waiting;
    await expect(charges.run("k", {}, () => 0)).rejects.toEqual(ofCode("CLOSED"));
    gate.resolve();
    await first;
    await clock.advance(0);
    expect(clock.pending).toBe(0);
  });
});
