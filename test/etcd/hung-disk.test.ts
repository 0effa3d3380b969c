import { createCoordinator } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { Etcd3 } from "etcd3";
import { expect, onTestFinished, test, vi } from "vitest";

import { findProgram } from "../servers/find-program.ts";
import { HangingDisk } from "../servers/hanging-disk.ts";
import { startEtcd } from "../servers/index.ts";
import { patienceMs } from "../stall/index.ts";

const ttlMs = 4_000;
const members = 3;

/** Each member's disk may hang, or the reason why that cannot be had here. */
async function makeDisks(): Promise<HangingDisk[] | string> {
  if (findProgram("etcd") === undefined) return "etcd is not on PATH";
  const disks: HangingDisk[] = [];
  try {
    for (let i = 0; i < members; i++) disks.push(await HangingDisk.make());
    return disks;
  } catch (error) {
    for (const disk of disks) await disk[Symbol.asyncDispose]();
    return `a disk that hangs cannot be made: ${String(error)}`;
  }
}

test("the leader's disk hangs: its holder's belief ends before another is granted, whatever it acknowledges", async ({
  skip,
}) => {
  const disks = await makeDisks();
  if (typeof disks === "string") return skip(disks);
  onTestFinished(async () => {
    for (const disk of disks) await disk[Symbol.asyncDispose]();
  });
  const cluster = await startEtcd({
    members,
    dataDirs: disks.map(({ path }) => `${path}/etcd`),
    log: () => {},
  });
  onTestFinished(() => cluster.stop());
  const statuses = await Promise.all(
    cluster.hosts.map(async (hosts) => {
      const client = new Etcd3({ hosts });
      onTestFinished(() => client.close());
      return client.maintenance.status();
    }),
  );
  const at = statuses.findIndex(({ header, leader }) => header.member_id === leader);
  const [leaderHost, disk] = [cluster.hosts[at] ?? "", disks[at]];
  const others = cluster.hosts.filter((host) => host !== leaderHost);

  let renewals = 0;
  // The holder knows the leader alone: nobody else can tell it of its end.
  const holder = createCoordinator({
    backend: etcdBackend({ hosts: leaderHost }, { minTtlMs: 1_000 }),
    onEvent: ({ type }) => void (renewals += type === "renewed" ? 1 : 0),
    ttlMs,
  });
  const rival = createCoordinator({ backend: etcdBackend({ hosts: others }, { minTtlMs: 1_000 }), ttlMs });
  onTestFinished(() => Promise.all([holder.close(), rival.close()]).then(() => {}));
  const held = await holder.lock("disk").acquire();
  let lostFirst: boolean | undefined;
  const waiting = rival
    .lock("disk")
    .acquire({ waitMs: 2 * patienceMs })
    .then((lease) => {
      lostFirst = held.signal.aborted;
      return lease;
    });
  await vi.waitFor(async () => expect((await holder.inspect("disk")).line).toHaveLength(1), patienceMs);

  // By then etcd has written what it gathers for 100 ms. With that still to do it would not even
  // acknowledge keepalives, which is what is to be seen here.
  const before = renewals;
  await vi.waitFor(() => expect(renewals).toBeGreaterThan(before + 1), patienceMs);
  // A process that waits for its disk cannot even be killed, so this comes before all else.
  onTestFinished(() => disk?.thaw());
  await disk?.hang();
  // A write that cannot be saved stops the leader's raft: it no longer learns that it was deposed.
  const app = new Etcd3({ hosts: leaderHost });
  onTestFinished(() => app.close());
  app
    .put("app")
    .value("x")
    .exec()
    .catch(() => {});
  const granted = await waiting;
  expect(lostFirst).toBe(true);
  expect(held.isHeld()).toBe(false);
  expect(granted.isHeld()).toBe(true);
  expect(granted.fencingToken).toBeGreaterThan(held.fencingToken);
});
