import { createCoordinator, type Coordinator, type LeaseholdEvent } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { startFaultProxy, type FaultProxy } from "@leasehold/testing";
import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";

import { startEtcd, type EtcdServer } from "../servers/index.ts";
import { claimsOf } from "./store-keys.ts";

// Compaction and restarts are for all who use a server, so this one is our own.
let server: EtcdServer;
let etcd: Etcd3;
beforeAll(async () => {
  server = await startEtcd({ log: () => {} });
  etcd = new Etcd3({ hosts: server.hosts });
});
afterAll(async () => {
  etcd.close();
  await server.stop();
});
beforeEach(({ skip }) => {
  if (!server.canSabotage) skip("the etcd comes from the environment, and others may use it");
});

/** Who leads, as an observer sees it: candidates and vacancies, as they come. */
function observe(coordinator: Coordinator, name: string): { seen: (string | null)[]; ended: Promise<void> } {
  const seen: (string | null)[] = [];
  const look = async (): Promise<void> => {
    const election = coordinator.election(name, { candidate: "observer" });
    for await (const leader of election.observe()) seen.push(leader && `${leader.candidate}${leader.value}`);
  };
  return { seen, ended: look() };
}

/** So long that no renewal helps: what arrives, arrives by the watch. */
const ttlMs = 60_000;
const beforeRenewalMs = ttlMs / 4;

function coordinate(hosts: string | string[] = server.hosts): {
  coordinator: Coordinator;
  events: LeaseholdEvent[];
} {
  const events: LeaseholdEvent[] = [];
  const onEvent = (event: LeaseholdEvent): void => void events.push(event);
  const coordinator = createCoordinator({ backend: etcdBackend({ hosts }), ttlMs, onEvent });
  onTestFinished(() => coordinator.close());
  return { coordinator, events };
}

async function inLine(name: string, count: number): Promise<void> {
  await vi.waitFor(async () => expect(await claimsOf(etcd, name)).toHaveLength(count), beforeRenewalMs);
}

async function compactEverything(): Promise<void> {
  const { header } = await etcd.kv.put({ key: Buffer.from("other"), value: Buffer.from("x") });
  await etcd.kv.compact({ revision: header.revision, physical: true });
}

test("a wait outlives a compaction", async () => {
  const [a, b] = [coordinate().coordinator, coordinate().coordinator];
  const holder = await a.lock("compacted").acquire();
  const waiting = b.lock("compacted").acquire();
  await inLine("compacted", 2);
  await compactEverything();
  await holder.release();
  expect((await waiting).isHeld()).toBe(true);
});

test("a watch that breaks, while its revisions are compacted, is made anew and misses no grant", async () => {
  await using proxy: FaultProxy = await startFaultProxy({ target: server.address });
  const a = coordinate().coordinator;
  const b = coordinate(proxy.url("http"));
  await using _ = b.coordinator;
  const holder = await a.lock("broken").acquire();
  const waiting = b.coordinator.lock("broken").acquire();
  await inLine("broken", 2);
  await vi.waitFor(() => expect(b.events.map(({ type }) => type)).toContain("queued"), beforeRenewalMs);
  proxy.refuse(true);
  proxy.reset();
  await holder.release();
  await compactEverything();
  proxy.refuse(false);
  const lease = await waiting;
  expect(lease.isHeld()).toBe(true);
  const degradations = b.events.flatMap((event) => (event.type === "degraded" ? [event.reason] : []));
  expect(degradations).toContain("pushes-interrupted");
});

test("a server killed and started again with its data: the wait goes on, and is granted by push", async () => {
  const [a, b] = [coordinate(), coordinate()];
  const holder = await a.coordinator.lock("restarted").acquire();
  const waiting = b.coordinator.lock("restarted").acquire();
  await inLine("restarted", 2);
  await server.restart();
  await vi.waitFor(() => holder.release(), beforeRenewalMs);
  expect((await waiting).isHeld()).toBe(true);
  expect((await waiting).fencingToken).toBeGreaterThan(holder.fencingToken);
});

test("keys that are no claims neither hold nor block a lock, and operators are told", async () => {
  const { coordinator, events } = coordinate();
  for (const tail of ["1/garbage", "7/zzz", `1/1/${"f".repeat(16)}-0`])
    await etcd.put(`leasehold/default:lock:hostile/${tail}`).value("?");
  const lease = await coordinator.lock("hostile").acquire();
  const second = coordinator.lock("hostile").acquire();
  await vi.waitFor(() => expect(events.map(({ type }) => type)).toContain("queued"), beforeRenewalMs);
  expect(await coordinator.lock("hostile").tryAcquire()).toBe(null);
  await lease.release();
  await (await second).release();
  const tried = await coordinator.lock("hostile").tryAcquire();
  expect(tried?.isHeld()).toBe(true);
  const { holders } = await coordinator.inspect("hostile");
  expect(holders.map(({ fencingToken }) => fencingToken)).toEqual([tried?.fencingToken]);
  const reasons = events.flatMap((event) => (event.type === "degraded" ? [event.reason] : []));
  expect(reasons).toContain("malformed-record");
});

test("an observer outlives a broken watch, a compaction and a restart, and looks again after each", async () => {
  await using proxy: FaultProxy = await startFaultProxy({ target: server.address });
  const a = coordinate().coordinator;
  const observer = coordinate(proxy.url("http"));
  const { seen, ended } = observe(observer.coordinator, "observed");
  await vi.waitFor(() => expect(seen).toEqual([null]), beforeRenewalMs);
  const leadership = await a.election("observed", { candidate: "a" }).campaign();
  await leadership.proclaim("1");
  await vi.waitFor(() => expect(seen.at(-1)).toBe("a1"), beforeRenewalMs);

  proxy.refuse(true);
  proxy.reset();
  await leadership.proclaim("2");
  await compactEverything();
  proxy.refuse(false);
  await vi.waitFor(() => expect(seen.at(-1)).toBe("a2"), beforeRenewalMs);
  const degradations = observer.events.flatMap((event) => (event.type === "degraded" ? [event.reason] : []));
  expect(degradations).toContain("pushes-interrupted");

  await server.restart();
  await vi.waitFor(() => leadership.proclaim("3"), beforeRenewalMs);
  await vi.waitFor(() => expect(seen.at(-1)).toBe("a3"), beforeRenewalMs);
  await leadership.resign();
  await vi.waitFor(() => expect(seen.at(-1)).toBe(null), beforeRenewalMs);
  await observer.coordinator.close();
  await ended;
});

test("a watch that cannot be made tells so all the same, and again when it stands", async () => {
  await using proxy: FaultProxy = await startFaultProxy({ target: server.address });
  proxy.refuse(true);
  await using backend = etcdBackend({ hosts: proxy.url("http") });
  let heard = 0;
  const stop = backend.leases.watch("unreachable", () => void (heard += 1));
  await vi.waitFor(() => expect(heard).toBe(1), 5_000);
  proxy.refuse(false);
  await vi.waitFor(() => expect(heard).toBe(2), 5_000);
  stop();
});

test("a closed backend ends its watches, begun or not, and refuses others", async () => {
  const backend = etcdBackend({ hosts: server.hosts });
  const heard = [0, 0];
  backend.leases.watch("closing", () => void (heard[0]! += 1));
  await vi.waitFor(() => expect(heard[0]).toBe(1));
  const stopLate = backend.leases.watch("closing-2", () => void (heard[1]! += 1));
  await backend[Symbol.asyncDispose]();
  expect(heard).toEqual([1, 0]);
  stopLate();
  expect(() => backend.leases.watch("closing", () => {})).toThrow(
    expect.objectContaining({ code: "CLOSED" }),
  );
});
