import { createCoordinator, type GrantPush } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { Cluster, Redis } from "ioredis";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";

import { replicatedRedisForThisFile } from "../servers/replicas.ts";
import { waitUntil } from "../servers/wait-until.ts";
import { lockRequest, ticketOf } from "./requests.ts";

const servers = await replicatedRedisForThisFile();
const master = new Redis(servers.master.url);
const replica = new Redis(servers.replica.url);
const timeoutMs = 2_000;

afterAll(() => {
  master.disconnect();
  replica.disconnect();
});

beforeEach(async ({ skip }) => {
  if (!servers.canSabotage) skip("the servers come from the environment, and are not ours to break");
  await waitUntil("the replica is online", async () => /state=online/.test(await master.info("replication")));
  await master.flushall();
  await master.wait(1, 5_000);
});

afterEach(() => servers.replica.resume());

const open = (replicas = 1): ReturnType<typeof redisBackend> =>
  redisBackend(servers.master.url, { replicas });

/** The claims that the master has of a name. */
async function claimsOf(name: string): Promise<string[]> {
  await using hand = redisBackend(servers.master.url);
  const { holders, line } = await hand.leases.inspect(name, { timeoutMs: 5_000 });
  return [...holders, ...line].map(({ owner }) => owner);
}

/** What core would hear of grants. It knows every owner. */
function listen(backend: ReturnType<typeof redisBackend>) {
  const heard: { pushes: GrantPush[]; looks: number } = { pushes: [], looks: 0 };
  backend.leases.onGrant({
    granted: (push) => heard.pushes.push(push) > 0,
    lookAgain: () => (heard.looks += 1),
  });
  return heard;
}

test("a grant that was answered is on the replica", async () => {
  await using backend = open();
  const request = lockRequest("kept");
  expect(await backend.leases.acquire(request)).toMatchObject({ kind: "granted" });
  expect(await replica.hget("leasehold:{kept}", "solo")).toContain(request.owner);
});

test("with the replica frozen the grant is withdrawn, nothing is left, and it is told until it is over", async () => {
  await using backend = open();
  const told: string[] = [];
  backend.onDegraded(({ reason, message }) => told.push(`${reason}: ${message}`));
  backend.onRestored(({ reason }) => told.push(`${reason} is over`));
  const request = lockRequest("short", { timeoutMs });
  await servers.replica.pause();
  await expect(backend.leases.acquire(request)).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  await expect(backend.leases.acquire(request)).rejects.toThrow(/withdrawn.* 0 of 1 replicas/);
  expect(await claimsOf("short")).toEqual([]);
  await servers.replica.resume();
  await expect
    .poll(() =>
      backend.leases.acquire(request).then(
        ({ kind }) => kind,
        () => "failed",
      ),
    )
    .toBe("granted");
  expect(told.filter((what) => what.startsWith("refusing"))).toEqual([
    expect.stringMatching(/^refusing: .*0 of 1 replicas/),
    "refusing is over",
  ]);
});

test("a pushed grant is told once it is on the replica", async () => {
  await using backend = open();
  const heard = listen(backend);
  const [holder, waiter] = [lockRequest("pushed"), lockRequest("pushed")];
  await backend.leases.acquire(holder);
  const ticket = ticketOf(await backend.leases.acquire(waiter));
  await backend.leases.release(holder);
  await expect.poll(() => heard.pushes).toEqual([{ resource: "pushed", owner: waiter.owner, ticket }]);
  await expect
    .poll(async () => Number(await replica.hget("leasehold:{pushed}", "upto")))
    .toBe(Number(ticket));
  // It is confirmed for good: from now on renewals say so.
  expect(await backend.leases.renew([{ ...waiter, ticket }], { timeoutMs })).toMatchObject([
    { kind: "renewed", granted: true },
  ]);
});

test("a pushed grant with the replica frozen is withdrawn, and its waiter looks and finds it gone", async () => {
  await using backend = open();
  const heard = listen(backend);
  const [holder, waiter] = [lockRequest("lag"), lockRequest("lag")];
  await backend.leases.acquire(holder);
  const ticket = ticketOf(await backend.leases.acquire(waiter));
  await servers.replica.pause();
  await backend.leases.release(holder);
  await expect.poll(() => heard.looks).toBe(1);
  expect(await claimsOf("lag")).toEqual([]);
  expect(await backend.leases.renew([{ ...waiter, ticket }], { timeoutMs })).toEqual([{ kind: "gone" }]);
  expect(heard.pushes).toEqual([]);
});

test("a grant that a renewal finds waits for the replica, while the renewal does not", async () => {
  await using backend = open();
  const heard = listen(backend);
  const [holder, waiter] = [lockRequest("found", { ttlMs: 100 }), lockRequest("found")];
  await backend.leases.acquire(holder);
  const ticket = ticketOf(await backend.leases.acquire(waiter));
  const renewed = () => backend.leases.renew([{ ...waiter, ticket }], { timeoutMs });
  await expect
    .poll(async () => {
      expect(await renewed()).toMatchObject([{ kind: "renewed", granted: heard.pushes.length > 0 }]);
      return heard.pushes.length;
    })
    .toBe(1);
});

test("many at once share the wait, and renewals do not stand behind it", async () => {
  await using backend = open();
  const held = lockRequest("held");
  const ticket = ticketOf(await backend.leases.acquire(held));
  await servers.replica.pause();
  const many = Array.from({ length: 50 }, (_, i) => lockRequest(`many:${i}`, { timeoutMs: 5_000 }));
  let settled = 0;
  const all = Promise.allSettled(
    many.map((request) => backend.leases.acquire(request).finally(() => (settled += 1))),
  );
  expect(await backend.leases.renew([{ ...held, ticket }], { timeoutMs })).toMatchObject([
    { kind: "renewed" },
  ]);
  expect(settled).toBe(0);
  for (const outcome of await all)
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "BACKEND_UNAVAILABLE" } });
});

test("a caller who waits is granted when the replica is back", async () => {
  await using coordinator = createCoordinator({ backend: open(), ttlMs: 2_000 });
  await servers.replica.pause();
  await expect(coordinator.lock("wait").tryAcquire()).rejects.toThrow(/0 of 1 replicas/);
  const waiting = coordinator.lock("wait").acquire({ waitMs: 60_000 });
  await expect.poll(() => master.hexists("leasehold:{default:lock:wait}", "solo")).toBe(1);
  await servers.replica.resume();
  const lease = await waiting;
  expect(lease.isHeld()).toBe(true);
  expect(await replica.hget("leasehold:{default:lock:wait}", "solo")).toContain(String(lease.fencingToken));
  await lease.release();
});

test("more replicas than there are, a Cluster, and what is no number", async () => {
  await using backend = open(2);
  await expect(backend.leases.acquire(lockRequest("two"))).rejects.toThrow(/1 of 2 replicas/);
  const cluster = new Cluster([servers.master.address], { lazyConnect: true });
  const invalid = { code: "INVALID_ARGUMENT" };
  expect(() => redisBackend(cluster, { replicas: 1 })).toThrow(expect.objectContaining(invalid));
  for (const replicas of [-1, 0.5, NaN])
    expect(() => redisBackend(servers.master.url, { replicas })).toThrow(expect.objectContaining(invalid));
});

test("a user who may not wait is refused, and told what is missing", async () => {
  await master.call("ACL", "SETUSER", "hasty", "reset", "on", ">pass", "~*", "&*", "+@all", "-wait");
  const { host, port } = servers.master.address;
  const options = { host, port, username: "hasty", password: "pass" };
  await using backend = redisBackend(options, { replicas: 1 });
  await expect(backend.leases.acquire(lockRequest("hasty"))).rejects.toThrow(/acl\.txt/);
  expect(await claimsOf("hasty")).toEqual([]);
});
