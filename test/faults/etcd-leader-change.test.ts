import { createCoordinator, type Lease } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { startFaultProxy } from "@leasehold/testing";
import { Etcd3 } from "etcd3";
import { afterEach, beforeEach, expect, it } from "vitest";

import { expectWithin } from "../stall/index.ts";
import { startEtcd, type EtcdServer } from "../servers/index.ts";

const ttlMs = 2_000;
let cluster: EtcdServer;

beforeEach(async () => {
  cluster = await startEtcd({ members: 3 });
});
afterEach(async () => cluster.stop());

/** Which member leads, by its own word. */
async function leader(): Promise<number> {
  for (const [index, host] of cluster.hosts.entries()) {
    const client = new Etcd3({ hosts: host });
    const status = await client.maintenance.status().finally(() => client.close());
    if (status.leader === status.header.member_id) return index;
  }
  throw new Error("nobody leads");
}

it("a crash while the leader changes costs at most three ttls, and nobody overlaps", async ({ skip }) => {
  skip(!cluster.canSabotage, "the servers are not ours to kill");
  const leading = await leader();
  const [follower] = cluster.members.filter((_, index) => index !== leading);
  await using proxy = await startFaultProxy({ target: follower!.address });
  await using holder = createCoordinator({ backend: etcdBackend({ hosts: proxy.url("http") }), ttlMs });
  await using rival = createCoordinator({
    backend: etcdBackend({ hosts: cluster.hosts }),
    ttlMs,
    waitMs: Infinity,
  });
  const lease = await holder.lock("leader-change").acquire();
  let taken: Lease | undefined;
  const next = rival
    .lock("leader-change")
    .acquire()
    .then((granted) => (taken = granted));
  const toldAt = new Promise<bigint>((resolve) =>
    lease.signal.addEventListener("abort", () => resolve(process.hrtime.bigint()), { once: true }),
  );

  // The holder is cut off, and a moment later the leader, which keeps the leases' time, dies.
  const fromNs = process.hrtime.bigint();
  proxy.blackhole();
  await cluster.members[leading]!.kill();
  const told = await toldAt;
  expect(taken).toBe(undefined);
  expectWithin("the news", ttlMs, { fromNs, toNs: told });

  const granted = await next;
  // One ttl, one more for the change of leader, and what the cluster takes to elect one.
  const afterMs = expectWithin("the takeover", 3 * ttlMs, { fromNs });
  expect(granted.fencingToken).toBeGreaterThan(lease.fencingToken);
  expect(granted.isHeld()).toBe(true);
  console.log(
    `etcd leader killed under a cut-off holder, ttl ${ttlMs} ms: taken over after ${Math.round(afterMs)} ms`,
  );
});

it("a holder that can reach another member keeps its lease through a change of leader", async ({ skip }) => {
  skip(!cluster.canSabotage, "the servers are not ours to kill");
  let renewals = 0;
  const renewedOften = Promise.withResolvers<void>();
  await using holder = createCoordinator({
    backend: etcdBackend({ hosts: cluster.hosts }),
    ttlMs: 6_000,
    onEvent: ({ type }) => {
      if (type === "renewed") renewals += 1;
      if (type === "lost" || renewals === 5) renewedOften.resolve();
    },
  });
  const lease = await holder.lock("kept").acquire();
  await cluster.members[await leader()]!.kill();
  // Five periods are longer than the ttl: what is held then was acknowledged by the new leader.
  await renewedOften.promise;
  expect(lease.isHeld()).toBe(true);
  expect(await lease.release()).toBe("released");
});
