import { AsyncLocalStorage } from "node:async_hooks";

import { SimClock, withFaults, type Link } from "@leasehold/testing";
import { beforeEach, expect, it } from "vitest";

import { createCoordinator, type Coordinator, type CoordinatorOptions } from "../coordinator.ts";
import type { Backend } from "../contract/backend.ts";
import type { CallOptions } from "../contract/call-options.ts";
import type { BeginRequest } from "../contract/idempotency-store.ts";
import type { AcquireRequest, ReleaseRequest, RenewRequest } from "../contract/lease-store.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";

const ttlMs = 3_000;
const storage = new AsyncLocalStorage<string>();

let clock: SimClock;
let store: MemoryStore;
/** In whose context what ran: `<what> as <whom>`, each once. */
let seen: Set<string>;
const see = (what: string): void => void seen.add(`${what} as ${storage.getStore() ?? "nobody"}`);

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
  seen = new Set();
});

/** A backend that notes in whose context it is called, and one coordinator on it. */
function open(options: Partial<CoordinatorOptions> = {}): { coordinator: Coordinator; link: Link } {
  const { backend, link } = withFaults(memoryBackend({ store }));
  const { leases, idempotency } = backend;
  const noted = <Args extends unknown[], Result>(call: string, act: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      see(`call ${call}`);
      return act(...args);
    };
  };
  const watched: Backend = {
    ...backend,
    leases: {
      ...leases,
      acquire: noted("acquire", (request: AcquireRequest) => leases.acquire(request)),
      renew: noted("renew", (requests: readonly RenewRequest[], options: CallOptions) =>
        leases.renew(requests, options),
      ),
      release: noted("release", (request: ReleaseRequest) => leases.release(request)),
    },
    idempotency: {
      ...idempotency,
      begin: noted("begin", (request: BeginRequest) => idempotency.begin(request)),
    },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  const onEvent: CoordinatorOptions["onEvent"] = (event) =>
    see(`event ${event.type}${"name" in event ? ` of ${event.name}` : ""}`);
  return {
    coordinator: storage.run("creator", () =>
      createCoordinator({ backend: watched, ttlMs, onEvent, ...options }),
    ),
    link,
  };
}

it("calls the store in the context of the coordinator, whoever asks, and renews in it", async () => {
  const { coordinator } = open();
  const one = await storage.run("one", () => coordinator.lock("a").acquire());
  await storage.run("two", () => coordinator.lock("b").acquire());
  await storage.run("three", () => coordinator.idempotency("s").run("k", {}, () => see("handler")));
  await clock.advance(ttlMs);
  await storage.run("four", () => one.release());
  expect([...seen].filter((each) => each.startsWith("call"))).toEqual([
    ...["call acquire as creator", "call begin as creator"],
    ...["call renew as creator", "call release as creator"],
  ]);
  expect(seen).toContain("handler as three");
});

it("tells the events of a claim, and of its lease, in the context of the call that acquired", async () => {
  const { coordinator, link } = open();
  const one = await storage.run("one", () => coordinator.lock("a").acquire());
  const waiting = storage.run("two", () => coordinator.lock("a").acquire());
  await clock.advance(ttlMs);
  await one.release();
  const two = await waiting;
  storage.run("whoever listens", () => two.signal.addEventListener("abort", () => see("abort")));
  link.cut();
  await clock.advance(ttlMs);
  expect([...seen].filter((each) => !each.startsWith("call"))).toEqual([
    ...["event acquired of a as one", "event queued of a as two", "event renewed of a as one"],
    ...["event granted of a as two", "event acquired of a as two", "event released of a as one"],
    ...["event unconfirmed of a as two", "abort as two", "event lost of a as two"],
  ]);
});

it("keeps the context of each call over a wait, a run, and a loss of its place", async () => {
  const { coordinator } = open();
  const held = await storage.run("one", () => coordinator.lock("a").acquire());
  const running = storage.run("two", () =>
    coordinator.lock("a").run(async ({ signal }) => {
      see("body");
      signal.addEventListener("abort", () => see("abort"));
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      see("body later");
    }),
  );
  await clock.advance(10);
  store.flush();
  await clock.advance(ttlMs);
  expect(held.isHeld()).toBe(false);
  await storage.run("closer", () => coordinator.close());
  await running;
  expect(seen).toContain("event requeued of a as two");
  expect([...seen].filter((each) => /body|abort/.test(each))).toEqual([
    ...["body as two", "abort as two", "body later as two"],
  ]);
});

it("aborts an idempotent handler in the context of its call", async () => {
  const { coordinator } = open();
  const running = storage.run("one", () =>
    coordinator.idempotency("s").run("k", {}, async ({ signal }) => {
      signal.addEventListener("abort", () => see("abort"));
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    }),
  );
  await clock.advance(1);
  await storage.run("closer", () => coordinator.close());
  await running.catch(() => {});
  expect(seen).toContain("abort as one");
});
