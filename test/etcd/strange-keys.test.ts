import { createCoordinator, type Coordinator, type LeaseholdEvent } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { Etcd3 } from "etcd3";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { etcdForThisFile } from "../servers/for-this-file.ts";
import { patienceMs } from "../stall/index.ts";
import { claimsOf, keysUnder } from "./store-keys.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());

/** So long that no renewal helps: a wait ends because the line was read. */
const calmTtlMs = 60_000;

function coordinate(options: { ttlMs?: number; maxWaiters?: number } = {}): {
  coordinator: Coordinator;
  told: () => string[];
} {
  const events: LeaseholdEvent[] = [];
  const backend = etcdBackend({ hosts }, { minTtlMs: 1_000 });
  const onEvent = (event: LeaseholdEvent): void => void events.push(event);
  const coordinator = createCoordinator({ backend, ttlMs: calmTtlMs, onEvent, ...options });
  onTestFinished(() => coordinator.close());
  const told = (): string[] => events.flatMap((each) => (each.type === "degraded" ? [each.reason] : []));
  return { coordinator, told };
}

/** A key of a claim's form, as a copied keyspace has it. */
async function litter(resource: string, capacity: number, weight: number, slot: number): Promise<void> {
  await etcd.put(`leasehold/default:${resource}/${capacity}/${weight}/0123456789abcdef-${slot}`).value("x");
}

async function gone(resource: string, left: number): Promise<void> {
  const keys = (): Promise<unknown[]> => keysUnder(etcd, `leasehold/default:${resource}/`);
  await vi.waitFor(async () => expect(await keys()).toHaveLength(left), patienceMs);
}

test("a key of a claim's form without a lease keeps no lock: it is told, and removed", async () => {
  const { coordinator, told } = coordinate();
  await litter("lock:tried", 1, 1, 0);
  const tried = await coordinator.lock("tried").tryAcquire();
  expect(tried?.isHeld()).toBe(true);
  expect(told()).toEqual(["malformed-record"]);
  await gone("lock:tried", 1);

  for (const slot of [0, 1]) await litter("lock:acquired", 1, 1, slot);
  const lease = await coordinator.lock("acquired").acquire({ waitMs: calmTtlMs / 4 });
  await gone("lock:acquired", 1);
  await lease.release();
});

test("such a key behind a holder, with waiters behind it: they are granted one by one", async () => {
  const [{ coordinator: a }, { coordinator: b }] = [coordinate(), coordinate()];
  const holder = await a.lock("between").acquire();
  await litter("lock:between", 1, 1, 0);
  let holders = 1;
  const wait = async (coordinator: Coordinator): Promise<void> => {
    const lease = await coordinator.lock("between").acquire({ waitMs: calmTtlMs / 4 });
    expect(++holders).toBe(1);
    await gone("lock:between", (await claimsOf(etcd, "between")).length);
    holders -= 1;
    await lease.release();
  };
  const waits = [wait(b), wait(a), wait(b)];
  await gone("lock:between", 4);
  holders -= 1;
  await holder.release();
  await Promise.all(waits);
});

test("such keys are all that is counted: the line is not full", async () => {
  const { coordinator } = coordinate({ maxWaiters: 1 });
  const lock = coordinator.lock("full");
  for (const slot of [0, 1, 2]) await litter("lock:full", 1, 1, slot);
  const lease = await lock.acquire({ waitMs: calmTtlMs / 4 });
  expect(lease.isHeld()).toBe(true);
});

test("a semaphore: neither a wait nor a try counts them", async () => {
  const { coordinator } = coordinate();
  const semaphore = coordinator.semaphore("permits", { permits: 10 });
  const six = Array.from({ length: 6 }, (_, slot) => slot);
  const leases = [];
  // From three of a weight on, those of that weight are counted.
  for (const _ of six.slice(0, 4)) leases.push(await semaphore.acquire());
  for (const slot of six) await litter("semaphore:permits", 10, 1, slot);
  leases.push(await semaphore.acquire({ waitMs: calmTtlMs / 4 }));
  await gone("semaphore:permits", 5);
  for (const slot of six) await litter("semaphore:permits", 10, 1, slot);
  leases.push(await semaphore.tryAcquire());
  await gone("semaphore:permits", 6);
  for (const each of leases) expect(each?.isHeld()).toBe(true);
});

test("a value put by hand over a claim ends it, as its deletion would; its process says so, and goes on", async () => {
  const { coordinator, told } = coordinate({ ttlMs: 1_000 });
  const lease = await coordinator.lock("overwritten").acquire();
  const [claim] = await claimsOf(etcd, "overwritten");
  await etcd.put(claim!.key).value("oops");
  await vi.waitFor(() => expect(lease.isHeld()).toBe(false), patienceMs);
  expect(await lease.release()).toBe("gone");
  for (const round of [1, 2]) {
    const again = await coordinator.lock("overwritten").acquire({ waitMs: patienceMs });
    expect(again.isHeld(), `acquired again, ${round}`).toBe(true);
    expect(told()).toContain("malformed-record");
    const [mine] = await claimsOf(etcd, "overwritten");
    if (round === 1) await etcd.put(mine!.key).value("oops");
    await again.release();
  }
});

test("a value put by hand with a lease is no record: the name is used again all the same", async () => {
  const { coordinator, told } = coordinate();
  const first = await coordinator.lock("garbled").acquire();
  const [claim] = await claimsOf(etcd, "garbled");
  await first.release();
  const { ID } = await etcd.leaseClient.leaseGrant({ TTL: 60 });
  await etcd.kv.put({ key: claim!.key, value: Buffer.from("oops"), lease: ID });
  expect((await coordinator.lock("garbled").acquire({ waitMs: 5_000 })).isHeld()).toBe(true);
  expect(told()).toContain("malformed-record");
});
