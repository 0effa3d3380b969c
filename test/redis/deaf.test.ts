import { redisBackend } from "@leasehold/redis";
import { startFaultProxy, type FaultProxy } from "@leasehold/testing";
import { Redis, type RedisOptions } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { expect, test } from "vitest";

import { ownRedis } from "./own-redis.ts";
import { lockRequest, ticketOf } from "./requests.ts";

const { server, admin } = await ownRedis();

/** A client whose second connection, on which the backend listens, takes the way over the proxy. */
function listensThrough(proxy: FaultProxy, client: Redis | Redis5 = new Redis(server.url)) {
  const duplicate = client.duplicate.bind(client) as (options: RedisOptions) => Redis;
  const through = (options: object): Redis => duplicate({ ...options, port: proxy.port, host: proxy.host });
  return Object.assign(client as Redis, {
    duplicate: through as Redis["duplicate"],
    [Symbol.dispose]: () => client.disconnect(),
  });
}

/** From now on the present connection hears nothing. One that is made anew does. */
function deafen(proxy: FaultProxy): void {
  proxy.hold("toClient", { limit: 1 });
}

test("a grant that no push announced: the deaf connection is found, told, and made anew", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  using client = listensThrough(proxy);
  await using backend = redisBackend(client);
  const told: string[] = [];
  backend.onDegraded(({ reason }) => told.push(reason));
  backend.onRestored(({ reason }) => told.push(`${reason} is over`));
  let looks = 0;
  const pushed: string[] = [];
  backend.leases.onGrant({ granted: ({ owner }) => pushed.push(owner) > 0, lookAgain: () => (looks += 1) });
  const [holder, waiter, next] = [lockRequest("deaf"), lockRequest("deaf"), lockRequest("deaf")];
  await backend.leases.acquire(holder);
  const ticket = ticketOf(await backend.leases.acquire(waiter));
  deafen(proxy);
  await backend.leases.release(holder);
  expect(await backend.leases.renew([{ ...waiter, ticket }], { timeoutMs: 2_000 })).toMatchObject([
    { kind: "renewed", granted: true },
  ]);
  await expect.poll(() => looks).toBe(1);
  expect(told).toEqual(["pushes-interrupted", "pushes-interrupted is over"]);
  expect(pushed).toEqual([]);
  await backend.leases.acquire(next);
  await backend.leases.release(waiter);
  await expect.poll(() => pushed).toEqual([next.owner]);
});

test("an observer has nothing to doubt by: its deaf connection is found by its silence", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  using client = listensThrough(proxy);
  await using backend = redisBackend(client);
  const told: string[] = [];
  backend.onDegraded(({ reason }) => told.push(reason));
  backend.onRestored(({ reason }) => told.push(`${reason} is over`));
  let looks = 0;
  backend.leases.watch("seen", () => (looks += 1));
  await expect.poll(() => looks).toBe(1);
  deafen(proxy);
  const joins = lockRequest("seen", { announce: true, queue: false, ttlMs: 60_000 });
  await backend.leases.acquire(joins);
  await expect.poll(() => looks).toBe(2);
  expect(told).toEqual(["pushes-interrupted", "pushes-interrupted is over"]);
  await backend.leases.release(joins);
  await expect.poll(() => looks).toBe(3);
});

test.each<[name: string, make: () => Redis | Redis5]>([
  ["ioredis 5", () => new Redis5(server.url)],
  ["ioredis 6", () => new Redis(server.url)],
  ["ioredis 6, RESP2", () => new Redis(server.url, { protocol: 2 })],
  ["ioredis 6, RESP3", () => new Redis(server.url, { replyMapping: "resp3" })],
])("%s: a claim that its own renewal grants is pushed to nobody, and costs a question", async (_, make) => {
  await using proxy = await startFaultProxy({ target: server.address });
  using client = listensThrough(proxy, make());
  await using backend = redisBackend(client);
  const told: string[] = [];
  backend.onDegraded(({ reason }) => told.push(reason));
  const [holder, waiter] = [lockRequest("own", { ttlMs: 100 }), lockRequest("own")];
  await backend.leases.acquire(holder);
  const ticket = ticketOf(await backend.leases.acquire(waiter));
  const pings = async (): Promise<number> =>
    Number(/cmdstat_ping:calls=(\d+)/.exec(await admin.info("commandstats"))?.[1] ?? 0);
  const before = await pings();
  // The holder dies where it stands, and the next step of the store grants: a renewal.
  const renewed = () => backend.leases.renew([{ ...waiter, ticket }], { timeoutMs: 2_000 });
  await expect.poll(renewed).toMatchObject([{ kind: "renewed", granted: true }]);
  await expect.poll(pings).toBeGreaterThan(before);
  expect(told).toEqual([]);
  expect(proxy.connections).toBe(1);
});
