import { createCoordinator, type Coordinator, type ExecutionContext } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, onTestFinished, test } from "vitest";

import type { HttpEvent } from "./events.ts";
import type { IdempotencyKeyOptions } from "./options.ts";
import type { Outgoing } from "./outgoing.ts";
import { Protection, type Exchange, type Served } from "./protection.ts";

const scope = "acme/charges";
let clock: SimClock;
let store: MemoryStore;
let events: HttpEvent[];

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
  events = [];
});

function open(): Coordinator {
  const coordinator = createCoordinator({ backend: memoryBackend({ store }) });
  onTestFinished(async () => {
    const closed = coordinator.close();
    await clock.advance(10_000);
    await closed;
  });
  return coordinator;
}

function protect(
  options: Partial<IdempotencyKeyOptions<string, unknown>> = {},
  coordinator: Coordinator = open(),
): (execute: (context: ExecutionContext) => Promise<Outgoing>, body?: unknown) => Promise<Served> {
  const protection = new Protection<string, unknown>(coordinator, {
    scope: () => scope,
    onEvent: (event) => events.push(event),
    ...options,
  });
  const exchange: Omit<Exchange<string, unknown>, "body"> = {
    request: "the request",
    method: "POST",
    target: "/charges",
    contentType: null,
    keyLines: ['"key"'],
    gone: new AbortController().signal,
  };
  return (execute, body) => protection.serve({ ...exchange, body: async () => ({ body }) }, execute);
}

const made = (text: string, more: Partial<Outgoing> = {}): Outgoing => {
  return { status: 201, headers: [], body: Buffer.from(text), unkept: null, unhandled: false, ...more };
};

function told(served: Served): [status: number, text: string] | string {
  if (served.kind !== "answered") return served.kind;
  const { status, body } = served.response;
  const text = Buffer.from(body).toString();
  return [
    status,
    text.startsWith("{") ? (JSON.parse(text) as { type: string }).type.split(":").at(-1)! : text,
  ];
}

test("the first executes, the second gets what it made", async () => {
  const serve = protect();
  expect(told(await serve(async () => made("one")))).toBe("executed");
  expect(told(await serve(async () => made("two")))).toEqual([201, "one"]);
  expect(events.map(({ outcome }) => outcome)).toEqual(["executed", "replayed"]);
});

test("a body that fits only without its headers is not kept, and that is told", async () => {
  const serve = protect({ maxResultBytes: 1_000 });
  const headers = [["link", "<a>".repeat(300)]] as const;
  expect(told(await serve(async () => made("x".repeat(700), { headers })))).toBe("executed");
  expect(events).toMatchObject([{ outcome: "not-kept", reason: "too-large", attempt: 1 }]);
  expect(told(await serve(async () => made("two")))).toEqual([409, "response-not-kept"]);
});

test("a handler that stops because its time is up: 503, and what it did is unknown", async () => {
  const serve = protect({ maxDurationMs: 1_000 });
  const stopped = serve(({ signal }) => {
    const { promise, reject } = Promise.withResolvers<Outgoing>();
    signal.addEventListener("abort", () => reject(signal.reason as Error));
    return promise;
  });
  await clock.advance(1_000);
  expect(told(await stopped)).toEqual([503, "interrupted"]);
  expect(told(await serve(async () => made("too early")))).toEqual([409, "in-progress"]);
  await clock.advance(30_000);
  const attempts: number[] = [];
  const again = await serve(async ({ attempt }) => {
    attempts.push(attempt);
    return made("two");
  });
  expect([told(again), attempts]).toEqual(["executed", [2]]);
});

test("a handler that throws by itself after its time is up is heard", async () => {
  const serve = protect({ maxDurationMs: 1_000 });
  const failed = serve(async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw new RangeError("its own");
  });
  const rejected = expect(failed).rejects.toThrow("its own");
  await clock.advance(1_000);
  await rejected;
});

test("one that goes on after its lease, and was not replaced, counts", async () => {
  const serve = protect({ maxDurationMs: 1_000 });
  const late = serve(async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    return made("late, but there");
  });
  await clock.advance(1_000);
  expect(told(await late)).toBe("executed");
  expect(told(await serve(async () => made("two")))).toEqual([201, "late, but there"]);
});

test("while the coordinator closes: 503, for those that come and those that stop", async () => {
  const coordinator = open();
  const serve = protect({}, coordinator);
  const stopped = serve(({ signal }) => {
    const { promise, reject } = Promise.withResolvers<Outgoing>();
    signal.addEventListener("abort", () => reject(signal.reason as Error));
    return promise;
  });
  await clock.advance(1);
  const closed = coordinator.close();
  expect(told(await stopped)).toEqual([503, "interrupted"]);
  expect(told(await serve(async () => made("late")))).toEqual([503, "store-unavailable"]);
  await clock.advance(10_000);
  await closed;
});

test("a record that is no response is not sent: 503, without Retry-After", async () => {
  const coordinator = open();
  const records = coordinator.idempotency(scope);
  await records.run("key", { fingerprint: "same" }, () => ({
    status: 200,
    headers: "set-cookie: a=b",
    body: "hi",
  }));
  const serve = protect({ fingerprint: () => "same" }, coordinator);
  const served = await serve(async () => made("two"));
  expect(told(served)).toEqual([503, "store-unavailable"]);
  expect(served.kind === "answered" && served.response.headers.map(([name]) => name)).not.toContain(
    "retry-after",
  );
});

test("without a policy of its own a replay of another payload is 422, and one of none is one of none", async () => {
  const serve = protect();
  await serve(async () => made("one"));
  expect(told(await serve(async () => made("two"), null))).toEqual([201, "one"]);
  expect(told(await serve(async () => made("two"), "body"))).toEqual([422, "key-reused"]);
});

test("a parser's result that cannot be compared is refused with what to do", async () => {
  const serve = protect();
  await expect(serve(async () => made("one"), { file: () => {} })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringMatching(/give the option fingerprint/),
  });
});

test.each([
  ["", /non-empty/],
  ["undefined/charges", /"undefined\/charges": a part of it is missing/],
  ["charges:null", /missing/],
  ["charges [object Object]", /missing/],
])("the scope %j would be everybody's", async (shared, message) => {
  const serve = protect({ scope: () => shared });
  await expect(serve(async () => made("one"))).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringMatching(message),
  });
  expect(events).toEqual([]);
});

test.each(["nullify/charges", "undefined-behaviour", "acme"])("the scope %j is one", async (own) => {
  expect(told(await protect({ scope: () => own })(async () => made("one")))).toBe("executed");
});
