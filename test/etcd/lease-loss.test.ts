import {
  createCoordinator,
  LeaseLostError,
  type Coordinator,
  type EventListener,
  type LeaseholdEvent,
} from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { Etcd3 } from "etcd3";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";

import { expectWithin, patienceMs } from "../stall/index.ts";
import { claimsOf } from "./store-keys.ts";
import { lockResource } from "../lock-resource.ts";
import { etcdForThisFile } from "../servers/for-this-file.ts";

const { hosts } = await etcdForThisFile();
const etcd = new Etcd3({ hosts });
afterAll(() => etcd.close());

const ttlMs = 3_000;

function coordinate(options: { onEvent?: EventListener } = {}): Coordinator {
  const backend = etcdBackend({ hosts }, { minTtlMs: 1_000 });
  const coordinator = createCoordinator({ backend, ttlMs, ...options });
  onTestFinished(() => coordinator.close());
  return coordinator;
}

/** Revokes the lease that the name's first claim is on, as an operator would. */
async function revokeLeaseUnder(name: string): Promise<void> {
  const [claim] = await claimsOf(etcd, name);
  expect(claim?.lease, "a claim is always on a lease").not.toBe("0");
  await etcd.leaseClient.leaseRevoke({ ID: claim!.lease });
}

test("a lease revoked by hand: every holder on it is told by the next renewal, and may acquire again", async () => {
  const a = coordinate();
  const held = await Promise.all(["revoked-1", "revoked-2"].map((name) => a.lock(name).acquire()));
  await revokeLeaseUnder("revoked-1");
  await vi.waitFor(() => expect(held.map(({ signal }) => signal.aborted)).toEqual([true, true]), patienceMs);
  for (const { signal } of held) {
    expect(signal.reason).toBeInstanceOf(LeaseLostError);
    expect(signal.reason, "told, and not found to be overdue").toMatchObject({ reason: "gone" });
  }
  const again = await a.lock("revoked-1").acquire();
  expect(again.isHeld()).toBe(true);
  expect(again.fencingToken).toBeGreaterThan(held[0]!.fencingToken);
});

test("a revoked lease that nothing has told of yet: the next acquire is granted another within the same call", async () => {
  const a = coordinate();
  await a.lock("revoked-3").acquire();
  await revokeLeaseUnder("revoked-3");
  const lease = await a.lock("revoked-4").acquire();
  expect(lease.isHeld()).toBe(true);
  expect(lease.remainingMs).toBeGreaterThan(ttlMs / 2);
});

test("a waiter whose lease was revoked is told at once, by the watch, and joins again", async () => {
  const events: LeaseholdEvent[] = [];
  const [a, b] = [coordinate(), coordinate({ onEvent: (event) => events.push(event) })];
  const holder = await a.lock("revoked-5").acquire();
  const waiting = b.lock("revoked-5").acquire();
  await vi.waitFor(async () => expect(await claimsOf(etcd, "revoked-5")).toHaveLength(2), patienceMs);
  const claims = await claimsOf(etcd, "revoked-5");
  const waiter = claims.find(({ create_revision }) => BigInt(create_revision) !== holder.fencingToken);
  const fromNs = process.hrtime.bigint();
  await etcd.leaseClient.leaseRevoke({ ID: waiter!.lease });
  const isRequeued = (): void => expect(events.map(({ type }) => type)).toContain("requeued");
  await vi.waitFor(isRequeued, patienceMs);
  expectWithin("the news", ttlMs / 3, { fromNs });
  await holder.release();
  const lease = await waiting;
  expect(lease.fencingToken).toBeGreaterThan(holder.fencingToken);
  await lease.release();
});

test("a ttl that the server would stretch is refused, with the server's minimum, and leaves no lease", async () => {
  // These servers grant a second at least; a ttl of theirs is never stretched. So a server with
  // slow elections is asked.
  const { startEtcd } = await import("../servers/index.ts");
  await using slow = await startEtcd({ heartbeatMs: 300, electionMs: 3_000, log: () => {} });
  if (!slow.canSabotage) return;
  await using backend = etcdBackend({ hosts: slow.hosts }, { minTtlMs: 1_000 });
  const own = new Etcd3({ hosts: slow.hosts });
  onTestFinished(() => own.close());
  const request = { resource: lockResource("r"), owner: "a".repeat(32), weight: 1, queue: true, value: "" };
  const acquire = (ttl: number): Promise<unknown> =>
    backend.leases.acquire({ ...request, ttlMs: ttl, maxWaiters: 10, timeoutMs: 5_000 });
  await expect(acquire(2_000)).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    message: expect.stringContaining("5000"),
  });
  expect((await own.leaseClient.leaseLeases()).leases).toEqual([]);
  await expect(acquire(5_000)).resolves.toMatchObject({ kind: "granted", ttlMs: 5_000 });
});
