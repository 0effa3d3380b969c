import { createCoordinator, type AcquireRequest } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { startFaultProxy, type FaultProxy } from "@leasehold/testing";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";

import { patienceMs } from "../servers/wait-until.ts";
import { ownRedis } from "./own-redis.ts";
import { lockRequest, ticketOf } from "./requests.ts";

const { server, admin } = await ownRedis();

const timeoutMs = 2_000;

test("an impatient caller gives up alone: the others are answered, on the same connection", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  await using backend = redisBackend(proxy.url("redis"));
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  await backend.leases.inspect("warm up", { timeoutMs });
  proxy.latency(100);
  const connections = new Set<number>();
  proxy.tap((_, __, connection) => connections.add(connection));
  const calls = Array.from({ length: 10 }, async (_, i) => {
    const request = lockRequest(`patient ${i}`, { queue: false, timeoutMs: patienceMs });
    const impatient = backend.leases.inspect("impatient", { timeoutMs: 50 });
    await expect(impatient).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    const ticket = ticketOf(await backend.leases.acquire(request));
    return backend.leases.renew([{ ...request, ticket }], { timeoutMs: patienceMs });
  });
  for (const answer of await Promise.all(calls)) expect(answer).toMatchObject([{ kind: "renewed" }]);
  expect({ connections: connections.size, heard }).toEqual({ connections: 1, heard: [] });
});

test("a flow that is dropped without a word is given up, and the next connection serves", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  await using backend = redisBackend(proxy.url("redis"));
  await backend.leases.inspect("dropped", { timeoutMs });
  // As a firewall does it: this connection is dead, and every other one is fine.
  proxy.hold("toServer", { limit: 1 });
  await expect
    .poll(() => backend.leases.inspect("dropped", { timeoutMs: 100 }).catch(() => null))
    .toEqual({ holders: [], line: [] });
});

test("a handshake that is never answered is ended, and dialled anew", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  proxy.hold("toClient", { limit: 1 });
  await using backend = redisBackend(proxy.url("redis"));
  await expect
    .poll(() => backend.leases.inspect("hung", { timeoutMs }).catch(() => null))
    .toEqual({ holders: [], line: [] });
});

describe("the late answer to an acquire that was given up", () => {
  /** An acquire that the server carries out, and whose answer comes after its caller has gone. */
  async function acquiredLate(knows: boolean, holder?: AcquireRequest) {
    const proxy: FaultProxy = await startFaultProxy({ target: server.address });
    const backend = redisBackend(proxy.url("redis"));
    onTestFinished(async () => {
      await backend[Symbol.asyncDispose]();
      await proxy.close();
    });
    backend.leases.onGrant({ granted: () => knows, lookAgain: () => {}, knows: () => knows });
    if (holder !== undefined) await backend.leases.acquire(holder);
    // Known to the server, and heard for pushes, before anything is held back.
    const request = lockRequest("late", { ttlMs: 60_000, timeoutMs: 200 });
    await backend.leases.acquire(lockRequest("warm up"));
    proxy.hold("toClient");
    await expect(backend.leases.acquire(request)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    const { holders, line } = await inspected();
    expect([...holders, ...line].map(({ owner }) => owner)).toContain(request.owner);
    proxy.pass();
    return { backend, request };
  }

  async function inspected() {
    await using other = redisBackend(server.url);
    return await other.leases.inspect("late", { timeoutMs });
  }

  test("granted, and nobody knows its owner: it is released, with a mark", async () => {
    const { backend, request } = await acquiredLate(false);
    await expect.poll(async () => (await inspected()).holders).toEqual([]);
    expect(await backend.leases.acquire({ ...request, timeoutMs })).toEqual({
      kind: "refused",
      reason: "departed",
    });
  });

  test("queued, and nobody knows its owner: it leaves the line", async () => {
    const holder = lockRequest("late", { ttlMs: 60_000 });
    await acquiredLate(false, holder);
    await expect.poll(inspected).toMatchObject({ holders: [{ owner: holder.owner }], line: [] });
  });

  test("its owner still asks: it is left alone", async () => {
    const { backend, request } = await acquiredLate(true);
    // The answer has been read once a later one is.
    await expect
      .poll(() => backend.leases.acquire({ ...request, timeoutMs }))
      .toMatchObject({ kind: "granted" });
    expect((await inspected()).holders).toMatchObject([{ owner: request.owner }]);
  });
});

test("core asks again while its caller waits: the late answers to its first tries take nothing away", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  const backend = redisBackend(proxy.url("redis"));
  await using coordinator = createCoordinator({ backend, ttlMs: 60_000 });
  await (await coordinator.lock("warm up").acquire()).release();
  let asked = 0;
  proxy.tap((direction, chunk) => {
    if (direction === "toServer" && chunk.includes("asked-again")) asked += 1;
  });
  proxy.hold("toClient");
  // A try goes unanswered for half a ttl.
  const pending = coordinator.lock("asked-again").acquire({ waitMs: patienceMs, ttlMs: 2_000 });
  await proxy.until(() => asked >= 2);
  proxy.pass();
  const lease = await pending;
  // Answered after the late ones, and after whatever these caused.
  const { holders } = await coordinator.inspect("asked-again");
  expect({ holders: holders.length, isHeld: lease.isHeld() }).toEqual({ holders: 1, isHeld: true });
  expect(await lease.release()).toBe("released");
});

test("a refusal of what the client sent again proves nothing of the first copy", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  const client = new Redis(proxy.port, proxy.host);
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  await using backend = redisBackend(client);
  await using other = redisBackend(server.url);
  await backend.leases.acquire(lockRequest("warm up", { queue: false }));
  proxy.hold("toClient");
  const request = lockRequest("twice", { ttlMs: 60_000, timeoutMs: patienceMs });
  const pending = backend.leases.acquire(request);
  const holders = async () => (await other.leases.inspect("twice", { timeoutMs })).holders;
  await expect.poll(holders).toMatchObject([{ owner: request.owner }]);
  await admin.config("SET", "min-replicas-to-write", 1);
  onTestFinished(() => void admin.config("SET", "min-replicas-to-write", 0));
  proxy.reset();
  proxy.pass();
  await expect(pending).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN", message: /fewer replicas/ });
});

test("a request that was given up is not sent as text when the server has lost its script", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  const client = new Redis(proxy.port, proxy.host);
  onTestFinished(() => client.disconnect());
  await using backend = redisBackend(client);
  await backend.leases.acquire(lockRequest("warm up", { queue: false }));
  proxy.hold("toServer");
  const request = lockRequest("flushed", { queue: false, timeoutMs: 100 });
  await expect(backend.leases.acquire(request)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  await admin.script("FLUSH");
  proxy.pass();
  // Answered after it, on the same connection.
  expect(await backend.leases.inspect("flushed", { timeoutMs })).toEqual({ holders: [], line: [] });
  expect(await backend.leases.inspect("flushed", { timeoutMs })).toEqual({ holders: [], line: [] });
});
