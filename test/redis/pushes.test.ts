import { redisBackend } from "@leasehold/redis";
import { startFaultProxy } from "@leasehold/testing";
import { Redis } from "ioredis";
import { expect, test } from "vitest";

import { ownRedis } from "./own-redis.ts";
import { lockRequest, ticketOf } from "./requests.ts";

const { server, admin } = await ownRedis();

const timeoutMs = 2_000;

test("no subscription without a waiter, one for many, none left after closing", async () => {
  const backend = redisBackend(server.url);
  const channels = async (): Promise<string[]> =>
    (await admin.pubsub("CHANNELS", "leasehold:inbox:*")) as string[];
  const held = lockRequest("sub", { queue: false });
  await backend.leases.acquire(held);
  await backend.leases.release(held);
  expect(await channels()).toEqual([]);
  await Promise.all([1, 2, 3, 4].map(() => backend.leases.acquire(lockRequest("sub"))));
  expect(await channels()).toHaveLength(1);
  await backend[Symbol.asyncDispose]();
  await expect.poll(channels).toEqual([]);
});

test("a grant that no listener knows is given back, and goes to the next", async () => {
  await using a = redisBackend(server.url);
  await using b = redisBackend(server.url);
  a.leases.onGrant({ granted: () => false, lookAgain: () => {} });
  const pushed: string[] = [];
  b.leases.onGrant({ granted: ({ owner }) => pushed.push(owner) > 0, lookAgain: () => {} });
  const [holder, abandoned, next] = [lockRequest("stray"), lockRequest("stray"), lockRequest("stray")];
  await b.leases.acquire(holder);
  await a.leases.acquire(abandoned);
  await b.leases.acquire(next);
  await b.leases.release(holder);
  await expect.poll(() => pushed).toEqual([next.owner]);
  expect((await b.leases.inspect("stray", { timeoutMs })).holders).toMatchObject([{ owner: next.owner }]);
});

test("after the subscription was lost and is back, every listener looks again, and hears pushes again", async () => {
  await using backend = redisBackend(server.url);
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  let looks = 0;
  const pushed: bigint[] = [];
  backend.leases.onGrant({ granted: ({ ticket }) => pushed.push(ticket) > 0, lookAgain: () => (looks += 1) });
  const [holder, waiter] = [lockRequest("gap"), lockRequest("gap")];
  await backend.leases.acquire(holder);
  const ticket = ticketOf(await backend.leases.acquire(waiter));
  expect(looks).toBe(0);
  await admin.call("CLIENT", "KILL", "TYPE", "pubsub");
  await expect.poll(() => looks).toBe(1);
  expect(heard).toEqual(["pushes-interrupted"]);
  await backend.leases.release(holder);
  await expect.poll(() => pushed).toEqual([ticket]);
});

test("while the channel cannot be heard claims join all the same, and are looked after when it can", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  const client = new Redis(server.url);
  // The subscriber alone takes the way that is cut.
  const duplicate = client.duplicate.bind(client);
  client.duplicate = ((options: object) =>
    duplicate({ ...options, port: proxy.port, host: proxy.host })) as typeof client.duplicate;
  await using backend = redisBackend(client);
  let looks = 0;
  backend.leases.onGrant({ granted: () => true, lookAgain: () => (looks += 1) });
  proxy.blackhole();
  // In time: at the deadline it would be an error.
  expect((await backend.leases.acquire(lockRequest("deaf"))).kind).toBe("granted");
  proxy.pass();
  await expect.poll(() => looks).toBe(1);
  client.disconnect();
});

test("nonsense on the inbox is dropped: anybody may publish there", async () => {
  await using backend = redisBackend(server.url);
  const pushed: unknown[] = [];
  backend.leases.onGrant({ granted: (push) => pushed.push(push) > 0, lookAgain: () => {} });
  await backend.leases.acquire(lockRequest("noise"));
  const [channel] = (await admin.pubsub("CHANNELS", "leasehold:inbox:*")) as string[];
  for (const message of ["", "x", "1 2 3", "{}", "-1 leasehold:{a} b", "1 leasehold:{a} "])
    await admin.publish(channel!, message);
  await admin.publish(channel!, "7 leasehold:{a} last");
  await expect.poll(() => pushed).toEqual([{ resource: "a", owner: "last", ticket: 7n }]);
});

test("one release grants all who fit, however many: a script a thousand, the client the rest at once", async () => {
  await using backend = redisBackend(server.url);
  const pushed = new Set<string>();
  backend.leases.onGrant({ granted: ({ owner }) => pushed.add(owner) !== undefined, lookAgain: () => {} });
  const whole = lockRequest("crowd", { capacity: 3_000, weight: 3_000, ttlMs: 60_000 });
  await backend.leases.acquire(whole);
  const crowd = Array.from({ length: 2_200 }, () =>
    lockRequest("crowd", { capacity: 3_000, maxWaiters: 5_000, ttlMs: 60_000, timeoutMs: 20_000 }),
  );
  await Promise.all(crowd.map((request) => backend.leases.acquire(request)));
  await backend.leases.release(whole);
  await expect.poll(() => pushed.size).toBe(2_200);
  expect((await backend.leases.inspect("crowd", { timeoutMs })).line).toEqual([]);
});
