import { createCoordinator, isLeaseholdError } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { startFaultProxy } from "@leasehold/testing";
import { Etcd3 } from "etcd3";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { patienceMs } from "../stall/index.ts";
import { claimsOf } from "./store-keys.ts";
import { lockResource } from "../lock-resource.ts";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());

const target = ((url) => ({ host: url.hostname, port: Number(url.port) }))(new URL(hosts[0]!));

/**
 * What a delayed acquire of `owner` does when it is carried out at last: a key of this process, on
 * its shared lease.
 */
async function carryOut(name: string, owner: string, leaseOf: string): Promise<void> {
  const [claim] = await claimsOf(etcd, leaseOf);
  const key = Buffer.from(claim!.key.toString().replace(leaseOf, name));
  await etcd.kv.put({ key, value: Buffer.from(`${owner}:${"0".repeat(16)}:{}`), lease: claim!.lease });
  expect(await claimsOf(etcd, name)).toHaveLength(1);
}

test("an acquire carried out after its release is swept, though other claims keep its lease alive", async () => {
  const backend = etcdBackend({ hosts }, { minTtlMs: 1_000 });
  await using coordinator = createCoordinator({ backend, ttlMs: 60_000 });
  const other = await coordinator.lock("ghost-other").acquire();
  const owner = "a".repeat(32);
  const resource = lockResource("default:lock:ghost-name");
  await backend.leases.release({ resource, owner, timeoutMs: 5_000, departedForMs: 60_000 });
  await carryOut("ghost-name", owner, "ghost-other");
  // The ttl is far too long for a renewal to fall into this: the sweeper does it on its own.
  await vi.waitFor(async () => expect(await claimsOf(etcd, "ghost-name")).toEqual([]), 15_000);
  expect(other.isHeld()).toBe(true);
});

test("under a key that a later call uses, it neither passes for that call's claim nor stays", async () => {
  const backend = etcdBackend({ hosts }, { minTtlMs: 1_000 });
  await using coordinator = createCoordinator({ backend, ttlMs: 60_000 });
  const other = await coordinator.lock("mistaken-other").acquire();
  await carryOut("mistaken", "f".repeat(32), "mistaken-other");
  const [ghost] = await claimsOf(etcd, "mistaken");
  // Its key is the very one that is next here.
  const lease = await coordinator.lock("mistaken").acquire();
  const [claim] = await claimsOf(etcd, "mistaken");
  expect(claim!.key.equals(ghost!.key)).toBe(true);
  expect(lease.fencingToken).toBe(BigInt(claim!.create_revision));
  expect(lease.fencingToken).toBeGreaterThan(BigInt(ghost!.create_revision));
  expect(claim!.value.toString().startsWith(lease.owner)).toBe(true);
  expect(other.isHeld()).toBe(true);
});

test("a hot lock leaves no trail of keys that every later call must pass", async () => {
  await using coordinator = createCoordinator({ backend: etcdBackend({ hosts }) });
  const names = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const lease = await coordinator.lock("hot").acquire();
    for (const { key } of await claimsOf(etcd, "hot")) names.add(key.toString());
    await lease.release();
  }
  expect(names.size).toBe(1);
});

test("however late it is carried out, the next renewal finds it", async () => {
  const backend = etcdBackend({ hosts }, { minTtlMs: 1_000 });
  await using coordinator = createCoordinator({ backend, ttlMs: 2_000 });
  const other = await coordinator.lock("late-other").acquire();
  await carryOut("late-ghost", "d".repeat(32), "late-other");
  await vi.waitFor(async () => expect(await claimsOf(etcd, "late-ghost")).toEqual([]), patienceMs);
  expect(other.isHeld()).toBe(true);
});

test("an acquire whose bytes are held back, and delivered after its caller gave up, leaves nothing", async () => {
  await using proxy = await startFaultProxy({ target });
  const backend = etcdBackend({ hosts: proxy.url("http") }, { minTtlMs: 1_000 });
  await using coordinator = createCoordinator({ backend, ttlMs: 6_000 });
  const other = await coordinator.lock("held-other").acquire();
  proxy.hold("toServer", { match: (chunk) => chunk.includes("held-name"), limit: 1 });
  const error = await coordinator
    .lock("held-name")
    .acquire({ waitMs: 300 })
    .catch((reason: unknown) => reason);
  expect(isLeaseholdError(error, "OUTCOME_UNKNOWN"), String(error)).toBe(true);
  // Answers come again: on another connection, since the held one says nothing.
  await vi.waitFor(() => coordinator.inspect("held-other"), patienceMs);
  expect(proxy.bytes.toServer.held).toBeGreaterThan(0);
  proxy.release("toServer");
  await proxy.until(({ bytes }) => bytes.toServer.held === 0);
  // What was delivered may still be on its way into the store, or be there.
  await vi.waitFor(async () => {
    const lease = await coordinator.lock("held-name").tryAcquire();
    expect(lease?.isHeld()).toBe(true);
  }, patienceMs);
  expect(await claimsOf(etcd, "held-name")).toHaveLength(1);
  expect(other.isHeld()).toBe(true);
});

test("a release that nothing answers is repeated until it is", async () => {
  await using proxy = await startFaultProxy({ target });
  await using backend = etcdBackend({ hosts: proxy.url("http") }, { minTtlMs: 1_000 });
  const owner = "b".repeat(32);
  const request = { resource: lockResource("default:lock:lost-release"), owner, ttlMs: 60_000, weight: 1 };
  await backend.leases.acquire({ ...request, queue: true, value: "", maxWaiters: 10, timeoutMs: 5_000 });
  proxy.blackhole();
  const release = backend.leases.release({ ...request, timeoutMs: 300 });
  await expect(release).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  expect(await claimsOf(etcd, "lost-release")).toHaveLength(1);
  proxy.pass();
  await vi.waitFor(async () => expect(await claimsOf(etcd, "lost-release")).toEqual([]), 15_000);
});

test("a sweep leaves the claims of live and pending calls alone, of several coordinators on one backend", async () => {
  const backend = etcdBackend({ hosts }, { minTtlMs: 1_000 });
  const [a, b] = [createCoordinator({ backend, ttlMs: 1_000 }), createCoordinator({ backend, ttlMs: 1_000 })];
  onTestFinished(async () => {
    await a.close();
    await b.close();
  });
  const leases = await Promise.all(
    [a, b].flatMap((each, i) => Array.from({ length: 20 }, (_, k) => each.lock(`sweep-${i}-${k}`).acquire())),
  );
  // An unclean departure starts the sweeper; renewals sweep as well.
  await backend.leases.release({
    resource: lockResource("r"),
    owner: "c".repeat(32),
    timeoutMs: 5_000,
    departedForMs: 60_000,
  });
  const until = performance.now() + 2_500;
  for (let i = 0; performance.now() < until; i++)
    await (await a.lock(`sweep-busy-${i % 5}`).acquire()).release();
  expect(leases.every((lease) => lease.isHeld())).toBe(true);
  for (const lease of leases) expect(await lease.release()).toBe("released");
});
