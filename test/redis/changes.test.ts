import { redisBackend } from "@leasehold/redis";
import { startFaultProxy } from "@leasehold/testing";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";

import { freePort } from "../servers/free-port.ts";
import { ownRedis } from "./own-redis.ts";
import { lockRequest, ticketOf } from "./requests.ts";

type RedisBackend = ReturnType<typeof redisBackend>;

const { server, admin } = await ownRedis();

const timeoutMs = 2_000;
const announce = true;

interface Watcher {
  heard: number;
  stop(): void;
}

function watch(backend: RedisBackend, resource: string): Watcher {
  const watcher: Watcher = { heard: 0, stop };
  const stopWatching = backend.leases.watch(resource, () => void (watcher.heard += 1));
  function stop(): void {
    stopWatching();
  }
  return watcher;
}

/** The channels that somebody listens to, and how many do. */
async function listeners(): Promise<Record<string, number>> {
  const channels = (await admin.pubsub("CHANNELS", "leasehold:changes:*")) as string[];
  const counts: Record<string, number> = {};
  for (const channel of channels)
    counts[channel] = Number(((await admin.pubsub("NUMSUB", channel)) as unknown[])[1]);
  return counts;
}

/** All that is published about a resource, by another listener. */
async function published(channel: string): Promise<string[]> {
  const ear = new Redis(server.url);
  onTestFinished(() => ear.disconnect());
  const heard: string[] = [];
  ear.on("message", (_channel, message) => heard.push(message));
  await ear.subscribe(channel);
  return heard;
}

test("watchers of one resource share a channel, those of others have their own, on one connection with the inbox", async () => {
  await using backend = redisBackend(server.url);
  const [a, b, other] = [watch(backend, "a"), watch(backend, "a"), watch(backend, "")];
  await expect.poll(() => [a.heard, b.heard, other.heard]).toEqual([1, 1, 1]);
  await backend.leases.acquire(lockRequest("queued"));
  expect(await listeners()).toEqual({ "leasehold:changes:a": 1, "leasehold:changes:%": 1 });
  const clients = String(await admin.client("LIST", "TYPE", "PUBSUB"))
    .trim()
    .split("\n");
  expect(clients).toHaveLength(1);
  // A later watcher finds the channel open.
  const late = watch(backend, "a");
  await expect.poll(() => late.heard).toBe(1);
  await backend.leases.acquire(lockRequest("a", { announce }));
  await expect.poll(() => [a.heard, b.heard, late.heard, other.heard]).toEqual([2, 2, 2, 1]);
});

test("the last watcher who stops gives the channel up, and the next one has it again", async () => {
  await using backend = redisBackend(server.url);
  const [a, b] = [watch(backend, "r"), watch(backend, "r")];
  await expect.poll(() => a.heard + b.heard).toBe(2);
  a.stop();
  expect(await listeners()).toEqual({ "leasehold:changes:r": 1 });
  b.stop();
  // In the same turn of the loop: the old subscription's end must not be taken for the new one's.
  const again = watch(backend, "r");
  await expect.poll(() => again.heard).toBe(1);
  await backend.leases.acquire(lockRequest("r", { announce }));
  await expect.poll(() => again.heard).toBe(2);
  again.stop();
  await expect.poll(listeners).toEqual({});
  expect([a.heard, b.heard]).toEqual([1, 1]);
});

test("closing ends all watches, begun or not, and on a closed backend none begins", async () => {
  const backend = redisBackend(server.url);
  const watchers = [watch(backend, "a"), watch(backend, "b")];
  await expect.poll(() => watchers.map(({ heard }) => heard)).toEqual([1, 1]);
  // This one has not begun yet.
  watchers.push(watch(backend, "d"));
  await backend[Symbol.asyncDispose]();
  await expect.poll(listeners).toEqual({});
  expect(watchers.map(({ heard }) => heard)).toEqual([1, 1, 0]);
  expect(() => backend.leases.watch("a", () => {})).toThrow(expect.objectContaining({ code: "CLOSED" }));
});

test("after the subscription was lost and is back, every watcher is told, and hears again", async () => {
  await using backend = redisBackend(server.url);
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  const watchers = [watch(backend, "a"), watch(backend, "b")];
  await expect.poll(() => watchers.map((watcher) => watcher.heard)).toEqual([1, 1]);
  await admin.call("CLIENT", "KILL", "TYPE", "pubsub");
  await expect.poll(() => watchers.map((watcher) => watcher.heard)).toEqual([2, 2]);
  expect(heard).toEqual(["pushes-interrupted"]);
  await backend.leases.acquire(lockRequest("b", { announce }));
  await expect.poll(() => watchers.map((watcher) => watcher.heard)).toEqual([2, 3]);
});

test("nobody listens: a watch begins all the same", async () => {
  await using backend = redisBackend(`redis://127.0.0.1:${await freePort()}`);
  const watcher = watch(backend, "down");
  await expect.poll(() => watcher.heard).toBe(1);
  watcher.stop();
});

test("while the channel cannot be heard a watch begins in time, and again when it can", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  await using backend = redisBackend(proxy.url("redis"));
  proxy.blackhole();
  const [watcher, stopped] = [watch(backend, "deaf"), watch(backend, "deaf")];
  stopped.stop();
  expect([watcher.heard, stopped.heard]).toEqual([0, 0]);
  await expect.poll(() => watcher.heard).toBe(1);
  expect(stopped.heard).toBe(0);
  proxy.pass();
  await expect.poll(() => watcher.heard).toBe(2);
});

test("what is announced: each change that can be seen, those found by others' steps included, and no more", async () => {
  await using backend = redisBackend(server.url);
  const { leases } = backend;
  leases.onGrant({ granted: () => true, lookAgain: () => {} });
  const heard = await published("leasehold:changes:r");
  const told = async (what: string, step: Promise<unknown>, times: number): Promise<void> => {
    const before = heard.length;
    await step;
    // Published by the step itself, so an own message after it comes last.
    await admin.publish("leasehold:changes:r", "mark");
    await expect.poll(() => heard.at(-1)).toBe("mark");
    heard.pop();
    expect(heard.length - before, what).toBe(times);
  };
  const [a, b] = [lockRequest("r", { announce }), lockRequest("r", { announce })];
  await told("a joins alone", leases.acquire(a), 1);
  const ticket = ticketOf(await leases.acquire(a));
  await told("a repeats itself", leases.acquire(a), 0);
  await told("a renews", leases.renew([{ ...a, ticket }], { timeoutMs }), 0);
  await told("a value", leases.propose({ ...a, ticket, value: "1", sequence: 2 }), 1);
  await told("an old value", leases.propose({ ...a, ticket, value: "0", sequence: 1 }), 0);
  await told("a stranger's value", leases.propose({ ...b, ticket, value: "0", sequence: 3 }), 0);
  await told("a refusal", leases.acquire({ ...b, queue: false }), 0);
  await told("b waits", leases.acquire(b), 1);
  await told("b is evicted", leases.evict(b), 1);
  await told("again", leases.evict(b), 0);
  await told("a value in a line", leases.propose({ ...a, ticket, value: "2", sequence: 3 }), 1);
  await told("a leaves, b is granted", leases.release(a), 1);
  await told("a leaves again", leases.release({ ...a, departedForMs: 1_000 }), 0);
  await told("b leaves", leases.release(b), 1);
  await told("in silence", leases.acquire(lockRequest("r", { ttlMs: 100 })), 0);
  const c = lockRequest("r", { announce });
  const waits = ticketOf(await leases.acquire(c));
  await expect.poll(async () => (await leases.inspect("r", { timeoutMs })).holders).toEqual([]);
  await told("the holder is found dead", leases.renew([{ ...c, ticket: waits }], { timeoutMs }), 1);
  await admin.del("leasehold:{r}:line");
  await told("the line is found void", leases.evict(c), 1);
});

test("a stray grant that is given back is announced, or observers would not hear who holds next", async () => {
  await using backend = redisBackend(server.url);
  const { leases } = backend;
  const heard = await published("leasehold:changes:stray");
  const [holder, abandoned, next] = [0, 1, 2].map(() => lockRequest("stray", { announce }));
  for (const request of [holder!, abandoned!, next!]) await leases.acquire(request);
  leases.onGrant({ granted: ({ owner }) => owner === next!.owner, lookAgain: () => {} });
  await leases.release(holder!);
  // Three joined, one left, one was given back.
  await expect.poll(() => heard.length).toBe(5);
  expect((await leases.inspect("stray", { timeoutMs })).holders).toMatchObject([{ owner: next!.owner }]);
});

test("values and evictions are kept when a lone claim is joined by others, and forgotten with it", async () => {
  await using backend = redisBackend(server.url);
  const { leases } = backend;
  const request = lockRequest("kept", { capacity: 2, value: "first" });
  const ticket = ticketOf(await leases.acquire(request));
  expect(await leases.propose({ ...request, ticket, value: "", sequence: 7 })).toBe(true);
  expect(await leases.evict(request)).toBe(true);
  const view = { owner: request.owner, ticket, value: "", sequence: 7, evicted: true, weight: 1 };
  expect((await leases.inspect("kept", { timeoutMs })).holders).toMatchObject([view]);
  expect(await admin.object("ENCODING", "leasehold:{kept}")).toBe("listpack");
  await leases.acquire(lockRequest("kept", { capacity: 2 }));
  expect((await leases.inspect("kept", { timeoutMs })).holders).toMatchObject([
    view,
    { value: "", sequence: 0, evicted: false },
  ]);
  // An evicted holder may still speak, and stays evicted.
  expect(await leases.propose({ ...request, ticket, value: "last", sequence: 8 })).toBe(true);
  expect(await leases.renew([{ ...request, ticket }], { timeoutMs })).toEqual([{ kind: "evicted" }]);
  await leases.release(request);
  await leases.acquire(request);
  expect((await leases.inspect("kept", { timeoutMs })).holders).toMatchObject([
    { sequence: 0 },
    { owner: request.owner, value: "first", sequence: 0, evicted: false },
  ]);
});
