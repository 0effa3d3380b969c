import { redisBackend, type RedisClient } from "@leasehold/redis";
import { startFaultProxy } from "@leasehold/testing";
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { redisLink } from "../kit/redis-link.ts";
import { startRedis, startRedisCluster, type RedisServer } from "../servers/index.ts";
import { beginRequest, begunBy, finishOf, lockRequest, ticketOf } from "./requests.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server.stop();
});

const timeoutMs = 2_000;

interface Made extends RedisClient {
  disconnect(): void;
  listenerCount(event: string): number;
}

const clients: [name: string, make: (at: { host: string; port: number }) => Made][] = [
  ["ioredis 5, its defaults", (at) => new Redis5(at)],
  ["ioredis 6, its defaults (RESP3)", (at) => new Redis(at)],
  ["ioredis 6, RESP2", (at) => new Redis({ ...at, protocol: 2 })],
  ["ioredis 6, replies as RESP3 has them", (at) => new Redis({ ...at, replyMapping: "resp3" })],
  ["ioredis 6, connecting when first used", (at) => new Redis({ ...at, lazyConnect: true })],
  ["ioredis 6, numbers as strings", (at) => new Redis({ ...at, stringNumbers: true })],
  ["ioredis 6, a key prefix with braces and spaces", (at) => new Redis({ ...at, keyPrefix: "my {app} " })],
  ["ioredis 6, pipelining by itself", (at) => new Redis({ ...at, enableAutoPipelining: true })],
  ["ioredis 6, without an offline queue", (at) => new Redis({ ...at, enableOfflineQueue: false })],
];

describe.each(clients)("%s", (_, make) => {
  test("all calls, a pushed grant, and the client left open", async () => {
    const client = make(server.address);
    onTestFinished(() => client.disconnect());
    const backend = redisBackend(client);
    const { leases } = backend;
    const pushed: unknown[] = [];
    leases.onGrant({ granted: (push) => pushed.push(push) > 0, lookAgain: () => {} });
    const resource = `clients {é} ${Math.random()}`;
    const announce = true;
    const holder = lockRequest(resource, { value: "é\0", announce });
    const waiter = lockRequest(resource, { announce });
    let changes = 0;
    leases.watch(resource, () => void (changes += 1));
    await expect.poll(() => changes).toBe(1);

    const held = await leases.acquire(holder);
    expect(held).toMatchObject({ kind: "granted", ttlMs: 5_000 });
    const waits = await leases.acquire(waiter);
    expect(waits).toMatchObject({ kind: "queued" });
    expect(await leases.acquire(lockRequest(resource, { queue: false }))).toEqual({
      kind: "refused",
      reason: "held",
    });
    expect(await leases.inspect(resource, { timeoutMs })).toMatchObject({
      holders: [{ owner: holder.owner, value: "é\0", weight: 1 }],
      line: [{ owner: waiter.owner }],
    });
    const renewals = [
      { ...holder, ticket: ticketOf(held) },
      { ...waiter, ticket: ticketOf(waits) + 1n },
    ];
    expect(await leases.renew(renewals, { timeoutMs })).toMatchObject([
      { kind: "renewed" },
      { kind: "gone" },
    ]);
    expect(await leases.propose({ ...renewals[0]!, value: "ü\0", sequence: 1 })).toBe(true);
    expect(await leases.evict(renewals[0]!)).toBe(true);
    expect(await leases.renew(renewals, { timeoutMs })).toEqual([{ kind: "evicted" }, { kind: "gone" }]);
    expect((await leases.inspect(resource, { timeoutMs })).holders).toMatchObject([
      { owner: holder.owner, value: "ü\0", sequence: 1, evicted: true },
    ]);
    expect(await leases.release(holder)).toBe(true);
    await expect.poll(() => pushed).toEqual([{ resource, owner: waiter.owner, ticket: ticketOf(waits) }]);
    expect(await leases.release(waiter)).toBe(true);

    const { idempotency } = backend;
    let ends = 0;
    idempotency.watch(resource, () => void (ends += 1));
    await expect.poll(() => ends).toBe(1);
    const request = beginRequest(resource);
    const run = begunBy(request, await idempotency.begin(request));
    const asking = await idempotency.begin(beginRequest(resource, { watched: true }));
    expect(asking).toEqual({ kind: "in-progress", remainingMs: expect.any(Number) });
    expect(await idempotency.extend(run)).toMatchObject({ kind: "extended", leaseMs: run.leaseMs });
    expect(await idempotency.finish(finishOf(run, { body: "é\0\r\n" }))).toBe("done");
    await expect.poll(() => ends).toBe(2);
    const { token, attempt } = run;
    const result = { kind: "finished", outcome: "completed", body: "é\0\r\n", token, attempt };
    expect(await idempotency.begin(beginRequest(resource))).toEqual(result);

    expect(changes).toBeGreaterThan(1);
    await backend[Symbol.asyncDispose]();
    expect(client.status).toBe("ready");
    await expect(leases.acquire(holder)).rejects.toMatchObject({ code: "CLOSED" });
    expect(client.listenerCount("ready") + client.listenerCount("close")).toBe(0);
  });

  test("after a lost connection it goes on by itself", async () => {
    await using proxy = await startFaultProxy({ target: server.address });
    const client = make({ host: proxy.host, port: proxy.port });
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    await using backend = redisBackend(client);
    const request = lockRequest(`lost ${Math.random()}`);
    const ticket = ticketOf(await backend.leases.acquire(request));
    proxy.reset();
    await expect
      .poll(() => backend.leases.renew([{ ...request, ticket }], { timeoutMs }))
      .toMatchObject([{ kind: "renewed", granted: true }]);
  });
});

test("a resent request gets the same answer, and says that a copy may still be on its way", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  // The defaults of ioredis: what is in flight when the connection is lost is sent again on the
  // next one.
  const client = new Redis(proxy.port, proxy.host);
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  await using backend = redisBackend(client);
  const request = lockRequest(`resent ${Math.random()}`, { queue: false, timeoutMs: 10_000 });
  await backend.leases.inspect("warm up", { timeoutMs });
  const lost = proxy.cutAfterNextRequest({ match: (chunk) => chunk.includes("resent") });
  const answer = await backend.leases.acquire(request);
  await lost;
  expect(answer).toMatchObject({ kind: "granted", resent: true });
  const { holders, line } = await backend.leases.inspect(request.resource.name, { timeoutMs });
  expect([...holders, ...line]).toMatchObject([{ owner: request.owner, ticket: ticketOf(answer) }]);
});

test("in a Cluster, too, an answer says that its request may have been sent twice", async () => {
  const cluster = await startRedisCluster();
  const nodes = cluster.members.map(({ address }) => address);
  await using way = await redisLink(nodes);
  const natMap = Object.fromEntries(
    nodes.map(({ host, port }, i) => [
      `${host}:${port}`,
      { host: way.proxies[i]!.host, port: way.proxies[i]!.port },
    ]),
  );
  const client = new Cluster(nodes, { natMap });
  client.on("error", () => {});
  onTestFinished(async () => {
    client.disconnect();
    await cluster.stop();
  });
  await using backend = redisBackend(client);
  const request = lockRequest("resent in a cluster", { queue: false, timeoutMs: 10_000 });
  await backend.leases.inspect(request.resource.name, { timeoutMs });
  const lost = way.link.loseReplyTo("acquire", request.resource.name);
  const answer = await backend.leases.acquire(request);
  await lost;
  expect(answer).toMatchObject({ kind: "granted", resent: true });
  expect((await backend.leases.inspect(request.resource.name, { timeoutMs })).holders).toHaveLength(1);
  const clean = await backend.leases.acquire(lockRequest("sent once", { queue: false }));
  expect(clean).not.toHaveProperty("resent");
});

test("an own client never sends a request twice: a lost reply is of unknown outcome, at once", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  await using backend = redisBackend(proxy.url("redis"));
  const request = lockRequest(`once ${Math.random()}`, { queue: false, timeoutMs: 30_000 });
  await backend.leases.inspect("warm up", { timeoutMs });
  let sent = 0;
  proxy.tap((direction, chunk) => {
    if (direction === "toServer" && chunk.includes(request.owner)) sent += 1;
  });
  const lost = proxy.cutAfterNextRequest({ match: (chunk) => chunk.includes("once") });
  await expect(backend.leases.acquire(request)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
  await lost;
  expect((await backend.leases.inspect(request.resource.name, { timeoutMs })).holders).toHaveLength(1);
  expect(sent).toBe(1);
});

test("one client for many backends: no warning of a leak", async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error): void => void warnings.push(name);
  process.on("warning", note);
  const client = new Redis(server.address);
  onTestFinished(() => {
    process.off("warning", note);
    client.disconnect();
  });
  const backends = Array.from({ length: 30 }, (_, i) => redisBackend(client, { prefix: `shared ${i}` }));
  for (const backend of backends) await backend.leases.inspect("x", { timeoutMs });
  for (const backend of backends) await backend[Symbol.asyncDispose]();
  await new Promise(setImmediate);
  expect(warnings.filter((name) => name.startsWith("MaxListeners"))).toEqual([]);
  expect(client.listenerCount("ready") + client.listenerCount("close") + client.listenerCount("error")).toBe(
    0,
  );
});

test.each(["quit", "disconnect"] as const)(
  "a client that the application closed (%s) is closed for good: no call waits for it",
  async (how) => {
    const client = new Redis(server.address);
    await using backend = redisBackend(client);
    await backend.leases.inspect("closed", { timeoutMs });
    await client[how]();
    await expect.poll(() => client.status).toBe("end");
    const request = lockRequest("closed", { timeoutMs: 3_600_000 });
    for (const call of [backend.leases.acquire(request), backend.leases.release(request)])
      await expect(call).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
  },
);
