import { elapsedMs, type AcquireRequest, type GrantPush } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";
import { SimClock } from "@leasehold/testing";
import { expect, test } from "vitest";

import type { Confirmation } from "./confirmations.ts";
import { ReplicatedLeaseStore } from "./replicated-lease-store.ts";

const timeoutMs = 1_000;
const short: Confirmation = { kind: "short", says: "It reached 0 of 1 replicas." };

/** The store in memory, whose grants are confirmed when the test says so. */
function replicated() {
  const clock = new SimClock();
  const { leases: store } = memoryBackend({ clock });
  const asked: ((answer: "confirmed" | Confirmation) => void)[] = [];
  const leases = new ReplicatedLeaseStore({
    store,
    confirmations: {
      confirm: (_claim, limitMs) =>
        new Promise((resolve) => {
          const validFrom = clock.now();
          expect(limitMs).toBeGreaterThan(0);
          asked.push((answer) => resolve(answer === "confirmed" ? { kind: answer, validFrom } : answer));
        }),
    },
    clock,
  });
  const heard: { pushes: GrantPush[]; looks: number; knows: boolean } = { pushes: [], looks: 0, knows: true };
  leases.onGrant({
    granted: (push) => heard.pushes.push(push) > 0 && heard.knows,
    lookAgain: () => (heard.looks += 1),
  });
  const ownersOf = async (name: string): Promise<string[]> => {
    const { holders, line } = await store.inspect(name, { timeoutMs });
    return [...holders, ...line].map(({ owner }) => owner);
  };
  return { clock, store, leases, asked, heard, ownersOf };
}

const request = (owner: string): AcquireRequest => {
  return {
    resource: { name: "x", capacity: 1, announce: false },
    owner: owner.repeat(32),
    ttlMs: 5_000,
    weight: 1,
    queue: true,
    value: "",
    maxWaiters: 10,
    timeoutMs,
  };
};

test("a grant counts from its confirmation, and is one for good", async () => {
  const { clock, leases, asked } = replicated();
  const granted = leases.acquire(request("a"));
  await clock.advance(200);
  asked[0]?.("confirmed");
  const reply = await granted;
  expect(reply).toMatchObject({ kind: "granted" });
  if (reply.kind === "refused") throw new Error("refused");
  expect(elapsedMs(clock, reply.validFrom)).toBe(200);
  expect(await leases.acquire(request("a"))).toMatchObject({ kind: "granted", ticket: reply.ticket });
  expect(await leases.renew([{ ...request("a"), ticket: reply.ticket }], { timeoutMs })).toMatchObject([
    { kind: "renewed", granted: true },
  ]);
  expect(asked).toHaveLength(1);
});

test("one on too few replicas is withdrawn, and the same owner may ask again", async () => {
  const { clock, leases, asked, ownersOf } = replicated();
  const first = leases.acquire(request("a"));
  await clock.advance(0);
  asked[0]?.(short);
  await expect(first).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: false });
  expect(await ownersOf("x")).toEqual([]);
  const second = leases.acquire(request("a"));
  await clock.advance(0);
  asked[1]?.("confirmed");
  expect(await second).toMatchObject({ kind: "granted" });
});

test("a withdrawal that fails leaves the outcome unknown", async () => {
  const { clock, store, leases, asked } = replicated();
  store.release = () => Promise.reject(new Error("no answer"));
  const acquired = leases.acquire(request("a"));
  await clock.advance(0);
  asked[0]?.(short);
  await expect(acquired).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
});

test("a push waits for its confirmation, and so does what a renewal finds meanwhile", async () => {
  const { clock, leases, asked, heard } = replicated();
  const held = leases.acquire(request("a"));
  await clock.advance(0);
  asked[0]?.("confirmed");
  await held;
  const queued = await leases.acquire(request("b"));
  if (queued.kind === "refused") throw new Error("refused");
  await leases.release(request("a"));
  await clock.advance(0);
  const renew = () => leases.renew([{ ...request("b"), ticket: queued.ticket }], { timeoutMs });
  const early = renew();
  // Half of its time is over: whoever shares the answer must have it.
  await clock.advance(timeoutMs / 2);
  expect(await early).toMatchObject([{ kind: "renewed", granted: false }]);
  const another = renew();
  await clock.advance(0);
  expect(heard.pushes).toEqual([]);
  asked[1]?.("confirmed");
  await clock.advance(0);
  expect(heard.pushes).toEqual([{ resource: "x", owner: request("b").owner, ticket: queued.ticket }]);
  expect(await another).toMatchObject([{ kind: "renewed", granted: true }]);
  expect(asked).toHaveLength(2);
});

/** The second in line is pushed its grant, which is withdrawn. */
async function withdrawn() {
  const parts = replicated();
  const { clock, leases, asked } = parts;
  const held = leases.acquire(request("a"));
  await clock.advance(0);
  asked[0]?.("confirmed");
  await held;
  const queued = await leases.acquire(request("b"));
  if (queued.kind === "refused") throw new Error("refused");
  await leases.release(request("a"));
  await clock.advance(0);
  asked[1]?.(short);
  await clock.advance(0);
  return { ...parts, ticket: queued.ticket };
}

test("a pushed grant that is withdrawn is never told, and its waiter looks", async () => {
  const { leases, heard, ownersOf, ticket } = await withdrawn();
  expect(await ownersOf("x")).toEqual([]);
  expect(heard).toMatchObject({ pushes: [], looks: 1 });
  expect(await leases.renew([{ ...request("b"), ticket }], { timeoutMs })).toEqual([{ kind: "gone" }]);
});

test("a repeated acquire and a push of one grant share what is found out", async () => {
  const { clock, leases, asked, heard } = replicated();
  const held = leases.acquire(request("a"));
  await clock.advance(0);
  asked[0]?.("confirmed");
  await held;
  await leases.acquire(request("b"));
  await leases.release(request("a"));
  await clock.advance(0);
  const again = leases.acquire(request("b"));
  await clock.advance(0);
  expect(asked).toHaveLength(2);
  asked[1]?.(short);
  await expect(again).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  expect(heard.pushes).toEqual([]);
});

test("a confirmed grant that nobody waits for any more is released", async () => {
  const { clock, leases, asked, heard, ownersOf } = replicated();
  heard.knows = false;
  const held = leases.acquire(request("a"));
  await clock.advance(0);
  asked[0]?.("confirmed");
  await held;
  await leases.acquire(request("b"));
  await leases.release(request("a"));
  await clock.advance(0);
  asked[1]?.("confirmed");
  await clock.advance(0);
  expect(heard.pushes).toHaveLength(1);
  expect(await ownersOf("x")).toEqual([]);
});
