import { createCoordinator, type Backend } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { afterAll, beforeEach, describe, expect, test } from "vitest";

import { replicatedRedisForThisFile } from "../servers/replicas.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { expectWithin, unlessStalled } from "../stall/index.ts";
import { lockRequest } from "./requests.ts";

const ttlMs = 2_000;
const maxLagMs = 1_000;
const servers = await replicatedRedisForThisFile();
const master = new Redis(servers.master.url);
const replica = new Redis(servers.replica.url);

afterAll(() => {
  master.disconnect();
  replica.disconnect();
});

beforeEach(async ({ skip }) => {
  if (!servers.canSabotage) skip("the servers come from the environment, and are not ours to break");
  await guard(0);
  await replica.replicaof(servers.master.address.host, servers.master.address.port);
  await inStep();
  await master.flushall();
  await master.wait(1, 5_000);
});

/** The replica is connected. */
function inStep(): Promise<void> {
  return waitUntil("the replica is online", async () =>
    /state=online/.test(await master.info("replication")),
  );
}

/** Sets how many replicas a server needs to write at all, on both. */
async function guard(least: number): Promise<void> {
  for (const server of [master, replica]) {
    await server.config("SET", "min-replicas-max-lag", String(maxLagMs / 1_000));
    await server.config("SET", "min-replicas-to-write", String(least));
  }
}

/**
 * What Sentinel does to a master that it cannot reach: the replica becomes a master. The old one is
 * not told, and whoever can still reach it stays there.
 */
async function failOver(): Promise<void> {
  await replica.replicaof("NO", "ONE");
  // A new master has no replicas yet, and must serve all the same.
  await replica.config("SET", "min-replicas-to-write", "0");
}

/** What a backend tells of its health. */
function heardFrom(backend: Backend): string[] {
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  backend.onRestored(({ reason }) => heard.push(`${reason} is over`));
  return heard;
}

/** One holds at the old master when that is replaced, and another takes the name at the new one. */
async function overlap(
  during: (a: { isHeld(): boolean; signal: AbortSignal }, events: string[]) => Promise<void>,
): Promise<void> {
  const [atOld, atNew] = [redisBackend(servers.master.url), redisBackend(servers.replica.url)];
  const events: string[] = [];
  const a = createCoordinator({ backend: atOld, ttlMs, onEvent: ({ type }) => events.push(type) });
  const b = createCoordinator({ backend: atNew, ttlMs });
  try {
    const held = await a.lock("pay").acquire();
    await master.wait(1, 5_000);
    await failOver();
    const second = await b.lock("pay").acquire({ waitMs: 30_000 });
    await during(held, events);
    expect(second.isHeld()).toBe(true);
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
}

describe("a partitioned old master", () => {
  test("with min-replicas-to-write it stops to renew: two hold for a ttl and the lag at most, and it is told", () =>
    unlessStalled(ttlMs, async () => {
      await guard(1);
      await overlap(async (first, events) => {
        const fromNs = process.hrtime.bigint();
        await expect.poll(() => first.signal.aborted).toBe(true);
        expectWithin("the overlap", ttlMs + maxLagMs, { fromNs });
        expect(events).toContain("lost");
      });
    }));

  test("without it, it renews for as long as the partition lasts", () =>
    unlessStalled(ttlMs, async () => {
      await overlap(async (first) => {
        const fromNs = process.hrtime.bigint();
        const passedMs = (): number => Number(process.hrtime.bigint() - fromNs) / 1e6;
        await expect.poll(() => !first.isHeld() || passedMs() > 3 * ttlMs).toBe(true);
        expect(first.isHeld()).toBe(true);
      });
    }));
});

describe("what is told of it", () => {
  // The question leaves as soon as the connection is ready, before any call, and answers come in
  // order.
  const touch = (backend: Backend) =>
    backend.leases.acquire(lockRequest("touch", { queue: false, ttlMs: 100 }));

  test("a master with replicas and without the setting may split the brain, once for all connections", async () => {
    await using backend = redisBackend(servers.master.url);
    const heard = heardFrom(backend);
    await touch(backend);
    await expect.poll(() => heard).toEqual(["may-split-brain"]);
    await reconnected(backend);
    expect(about(heard)).toEqual(["may-split-brain"]);
    await guard(1);
    await reconnected(backend);
    expect(about(heard)).toEqual(["may-split-brain", "may-split-brain is over"]);
  });

  test.each<[name: string, make: () => Redis | Redis5]>([
    ["ioredis 5", () => new Redis5(servers.master.url)],
    ["ioredis 6", () => new Redis(servers.master.url)],
    ["ioredis 6, RESP3", () => new Redis(servers.master.url, { replyMapping: "resp3" })],
  ])("%s, handed in and connected already, is looked at, too", async (_, make) => {
    const client = make();
    await client.ping();
    await using backend = redisBackend(client);
    const heard = heardFrom(backend);
    await expect.poll(() => heard).toEqual(["may-split-brain"]);
    client.disconnect();
  });

  test("with the setting, for a replica, and for a master without replicas there is nothing to tell", async () => {
    await using lone = redisBackend(servers.replica.url);
    const ofLone = heardFrom(lone);
    await failOver();
    await touch(lone);
    await replica.replicaof(servers.master.address.host, servers.master.address.port);
    await inStep();
    await guard(1);
    await using guarded = redisBackend(servers.master.url);
    const ofGuarded = heardFrom(guarded);
    await expect.poll(() => touch(guarded).then(({ kind }) => kind)).toBe("granted");
    expect(about([...ofLone, ...ofGuarded])).toEqual([]);
  });

  test("a user who may not ask is told nothing, and works", async () => {
    await master.call("ACL", "SETUSER", "mute", "reset", "on", ">pass", "~*", "&*", "+@all", "-info");
    const { host, port } = servers.master.address;
    const options = { host, port, username: "mute", password: "pass", enableReadyCheck: false };
    await using backend = redisBackend(options);
    const heard = heardFrom(backend);
    expect(await touch(backend)).toMatchObject({ kind: "granted" });
    expect(heard).toEqual([]);
  });

  const about = (heard: string[]): string[] => heard.filter((what) => what.startsWith("may-split-brain"));

  /** All connections of normal clients but ours are new ones. */
  async function reconnected(backend: Backend): Promise<void> {
    await master.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await expect
      .poll(() =>
        touch(backend).then(
          ({ kind }) => kind,
          () => "failed",
        ),
      )
      .toBe("granted");
  }
});
