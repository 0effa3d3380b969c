import { SimClock } from "@leasehold/testing";
import { beforeEach, expect, test } from "vitest";

import { createCoordinator, type Coordinator } from "../coordinator.ts";
import type { LeaseholdEvent } from "../events.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";
import type { Leadership } from "./leadership.ts";

const ttlMs = 150;
const graceMs = 40;

let clock: SimClock;
let store: MemoryStore;
beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
});

/** Lets time pass until the condition holds; fails after a hundred ttls of it. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let passedMs = 0; !(await condition()); passedMs += 5) {
    if (passedMs > 100 * ttlMs) throw new Error(`${what}: not within a hundred ttls`);
    await clock.advance(5);
  }
}

/** What a promise settles with that needs time to pass. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const settling = promise.finally(() => (settled = true));
  await until("settled", () => settled);
  return settling;
}

interface Host {
  readonly coordinator: Coordinator;
  readonly heard: (type: LeaseholdEvent["type"]) => number;
}

function host(): Host {
  const types: string[] = [];
  const coordinator = createCoordinator({
    backend: memoryBackend({ store }),
    ttlMs,
    graceMs,
    onEvent: ({ type }) => types.push(type),
  });
  return { coordinator, heard: (type) => types.filter((each) => each === type).length };
}

function aborted({ signal }: Leadership): Promise<unknown> {
  return new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

test("a leader that resigns under a body that ignores it is reported, renewed, and keeps its successor waiting", async () => {
  const [a, rival] = [host(), host()];
  const [terms, stop, body] = [[] as Leadership[], new AbortController(), Promise.withResolvers<void>()];
  const leading = a.coordinator.election("shared", { candidate: "host" }).lead(
    async (leadership) => {
      terms.push(leadership);
      await (terms.length === 1 ? body.promise : aborted(leadership));
    },
    { signal: stop.signal },
  );
  await until("the first term", () => terms.length === 1);
  let elected: Leadership | undefined;
  const campaign = rival.coordinator.election("shared", { candidate: "rival" }).campaign();
  void campaign.then((leadership) => (elected = leadership));
  await until("the rival waits", () => rival.heard("queued") === 1);

  const handOver = terms[0]!.resign();
  expect(terms[0]!.signal.aborted).toBe(true);
  await until("reported", () => a.heard("stuck") === 1);
  // Longer than a ttl: what is held then is held because it is still renewed.
  const before = a.heard("renewed");
  await until("renewed on and on", () => a.heard("renewed") >= before + 5);
  expect({ elected, held: terms[0]!.isHeld(), terms: terms.length }).toEqual({
    elected: undefined,
    held: true,
    terms: 1,
  });
  body.resolve();
  expect(await inTime(handOver)).toBe("released");
  expect((await inTime(campaign)).term).toBeGreaterThan(terms[0]!.term);

  // The candidacy goes on behind the rival; no call that waits outlives the resignation of what it
  // waits for.
  expect(await terms[0]!.resign()).toBe("released");
  expect(await terms[0]!.release()).toBe("released");
  expect(await (await campaign).resign()).toBe("released");
  await until("the second term", () => terms.length === 2);
  stop.abort();
  await leading;
  await Promise.all([a.coordinator.close(), rival.coordinator.close()]);
});

test("a new term does not begin before the old body has ended, though the claim is long gone", async () => {
  const { coordinator, heard } = host();
  const [terms, stop, body] = [[] as Leadership[], new AbortController(), Promise.withResolvers<void>()];
  const leading = coordinator.election("shared", { candidate: "host" }).lead(
    async (leadership) => {
      terms.push(leadership);
      await (terms.length === 1 ? body.promise : aborted(leadership));
    },
    { signal: stop.signal },
  );
  await until("the first term", () => terms.length === 1);
  store.release({
    resource: { name: "default:election:shared", announce: true },
    owner: terms[0]!.owner,
    timeoutMs: 0,
  });
  await until("lost, and reported", () => heard("lost") === 1 && heard("stuck") === 1);
  expect(terms[0]!.signal.reason).toMatchObject({ code: "LEASE_LOST", reason: "gone" });
  expect({ terms: terms.length, acquired: heard("acquired") }).toEqual({ terms: 1, acquired: 1 });
  body.resolve();
  await until("the second term", () => terms.length === 2);
  expect(terms[1]!.term).toBeGreaterThan(terms[0]!.term);
  expect(await terms[0]!.resign(), "there is nothing left to hand over").toBe("gone");
  stop.abort();
  await leading;
  await coordinator.close();
});

test("closing ends candidacies, campaigns and observations: none hangs, and each says why", async () => {
  const [a, rival] = [host(), host()];
  const election = a.coordinator.election("shared", { candidate: "host" });
  const leading = election.lead(aborted as (leadership: Leadership) => Promise<void>);
  await until("the term", async () => (await election.leader()) !== null);
  const waiting = rival.coordinator.election("shared", { candidate: "rival" }).lead(() => {});
  const seen: unknown[] = [];
  const observing = (async () => {
    for await (const leader of rival.coordinator.election("shared", { candidate: "-" }).observe())
      seen.push(leader?.candidate);
  })();
  await until("in line", () => rival.heard("queued") === 1 && seen.length === 1);
  const ends = [expect(waiting).rejects.toMatchObject({ code: "CLOSED" }), observing];
  await rival.coordinator.close();
  await Promise.all(ends);
  expect(seen).toEqual(["host"]);
  const end = leading.then(
    () => "resolved",
    (error: unknown) => (error as { code?: string }).code,
  );
  await a.coordinator.close();
  expect(await end).toBe("CLOSED");
  expect(store.inspect("default:election:shared")).toEqual({ holders: [], line: [] });
});

test("what a candidate said of itself stays beside what it proclaims", async () => {
  const { coordinator } = host();
  const election = coordinator.election("shared", { candidate: "host", value: "one" });
  const leadership = await election.campaign({ metadata: { rack: "7" } });
  const originOf = async (): Promise<unknown> => {
    const { holders } = await coordinator.inspect("shared", { recipe: "election" });
    return { sinceMs: holders[0]?.origin?.sinceMs, rack: holders[0]?.origin?.metadata["rack"] };
  };
  const before = await originOf();
  await until("a later time", () => clock.now().wallMs > (before as { sinceMs: number }).sinceMs);
  await leadership.proclaim("two");
  expect(await election.leader()).toMatchObject({ candidate: "host", value: "two" });
  expect(await originOf()).toEqual(before);
  await coordinator.close();
});
