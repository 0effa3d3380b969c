import { createCoordinator, type Coordinator, type LeaseholdEvent, type Leadership } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { expect, test } from "vitest";

import { waitUntil } from "../servers/wait-until.ts";

const ttlMs = 150;
const graceMs = 40;

interface Host {
  readonly coordinator: Coordinator;
  readonly heard: (type: LeaseholdEvent["type"]) => number;
}

function hostOn(store: MemoryStore): Host {
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
  const store = new MemoryStore();
  const [host, rival] = [hostOn(store), hostOn(store)];
  const [terms, stop, body] = [[] as Leadership[], new AbortController(), Promise.withResolvers<void>()];
  const leading = host.coordinator.election("shared", { candidate: "host" }).lead(
    async (leadership) => {
      terms.push(leadership);
      await (terms.length === 1 ? body.promise : aborted(leadership));
    },
    { signal: stop.signal },
  );
  await waitUntil("the first term", () => terms.length === 1);
  let elected: Leadership | undefined;
  const campaign = rival.coordinator.election("shared", { candidate: "rival" }).campaign();
  void campaign.then((leadership) => (elected = leadership));
  await waitUntil("the rival waits", () => rival.heard("queued") === 1);

  const handOver = terms[0]!.resign();
  expect(terms[0]!.signal.aborted).toBe(true);
  await waitUntil("reported", () => host.heard("stuck") === 1);
  // Longer than a ttl: what is held then is held because it is still renewed.
  const before = host.heard("renewed");
  await waitUntil("renewed on and on", () => host.heard("renewed") >= before + 5);
  expect({ elected, held: terms[0]!.isHeld(), terms: terms.length }).toEqual({
    elected: undefined,
    held: true,
    terms: 1,
  });
  body.resolve();
  expect(await handOver).toBe("released");
  expect((await campaign).term).toBeGreaterThan(terms[0]!.term);

  // The candidacy goes on behind the rival; no call that waits outlives the resignation of what it waits for.
  expect(await terms[0]!.resign()).toBe("released");
  expect(await terms[0]!.release()).toBe("released");
  expect(await (await campaign).resign()).toBe("released");
  await waitUntil("the second term", () => terms.length === 2);
  stop.abort();
  await leading;
  await Promise.all([host.coordinator.close(), rival.coordinator.close()]);
});

test("a new term does not begin before the old body has ended, though the claim is long gone", async () => {
  const store = new MemoryStore();
  const { coordinator, heard } = hostOn(store);
  const [terms, stop, body] = [[] as Leadership[], new AbortController(), Promise.withResolvers<void>()];
  const leading = coordinator.election("shared", { candidate: "host" }).lead(
    async (leadership) => {
      terms.push(leadership);
      await (terms.length === 1 ? body.promise : aborted(leadership));
    },
    { signal: stop.signal },
  );
  await waitUntil("the first term", () => terms.length === 1);
  store.release({
    resource: { name: "default:election:shared", announce: true },
    owner: terms[0]!.owner,
    timeoutMs: 0,
  });
  await waitUntil("lost, and reported", () => heard("lost") === 1 && heard("stuck") === 1);
  expect(terms[0]!.signal.reason).toMatchObject({ code: "LEASE_LOST", reason: "gone" });
  expect({ terms: terms.length, acquired: heard("acquired") }).toEqual({ terms: 1, acquired: 1 });
  body.resolve();
  await waitUntil("the second term", () => terms.length === 2);
  expect(terms[1]!.term).toBeGreaterThan(terms[0]!.term);
  expect(await terms[0]!.resign(), "there is nothing left to hand over").toBe("gone");
  stop.abort();
  await leading;
  await coordinator.close();
});

test("closing ends candidacies, campaigns and observations: none hangs, and each says why", async () => {
  const store = new MemoryStore();
  const [host, rival] = [hostOn(store), hostOn(store)];
  const election = host.coordinator.election("shared", { candidate: "host" });
  const leading = election.lead(aborted as (leadership: Leadership) => Promise<void>);
  await waitUntil("the term", async () => (await election.leader()) !== null);
  const waiting = rival.coordinator.election("shared", { candidate: "rival" }).lead(() => {});
  const seen: unknown[] = [];
  const observing = (async () => {
    for await (const leader of rival.coordinator.election("shared", { candidate: "-" }).observe())
      seen.push(leader?.candidate);
  })();
  await waitUntil("in line", () => rival.heard("queued") === 1 && seen.length === 1);
  const ends = [expect(waiting).rejects.toMatchObject({ code: "CLOSED" }), observing];
  await rival.coordinator.close();
  await Promise.all(ends);
  expect(seen).toEqual(["host"]);
  const end = leading.then(
    () => "resolved",
    (error: unknown) => (error as { code?: string }).code,
  );
  await host.coordinator.close();
  expect(await end).toBe("CLOSED");
  expect(store.inspect("default:election:shared")).toEqual({ holders: [], line: [] });
});

test("what a candidate said of itself stays beside what it proclaims", async () => {
  const { coordinator } = hostOn(new MemoryStore());
  const election = coordinator.election("shared", { candidate: "host", value: "one" });
  const leadership = await election.campaign({ metadata: { rack: "7" } });
  const originOf = async (): Promise<unknown> => {
    const { holders } = await coordinator.inspect("shared", { recipe: "election" });
    return { sinceMs: holders[0]?.origin?.sinceMs, rack: holders[0]?.origin?.metadata["rack"] };
  };
  const before = await originOf();
  await waitUntil("a later time", () => Date.now() > (before as { sinceMs: number }).sinceMs);
  await leadership.proclaim("two");
  expect(await election.leader()).toMatchObject({ candidate: "host", value: "two" });
  expect(await originOf()).toEqual(before);
  await coordinator.close();
});
