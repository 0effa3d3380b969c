import { redisBackend } from "@leasehold/redis";
import { startFaultProxy } from "@leasehold/testing";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { expectWithin } from "../stall/index.ts";
import { freePort } from "../servers/free-port.ts";
import { startRedis, type RedisServer } from "../servers/index.ts";
import { lockRequest, ticketOf } from "./requests.ts";

let server: RedisServer;
let admin: Redis;
beforeAll(async () => {
  server = await startRedis({ persistence: "aof" });
  admin = new Redis(server.url);
  admin.on("error", () => {});
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});
beforeEach(({ skip }) => {
  if (!server.canSabotage) skip("the Redis comes from the environment, and is not ours to break");
});

const timeoutMs = 2_000;

test("nobody listens: nothing was written, told at the deadline, and closing waits for no deadline", async () => {
  const backend = redisBackend(`redis://127.0.0.1:${await freePort()}`);
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  const request = lockRequest("down", { timeoutMs: 300 });
  for (const call of [backend.leases.acquire(request), backend.leases.release(request)]) {
    await expect(call).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: false });
    await expect(call).rejects.toThrow(/refuses connections/);
  }
  const [answer] = await backend.leases.renew([{ ...request, ticket: 1n }], { timeoutMs: 300 });
  expect(answer).toMatchObject({ kind: "unanswered", error: { code: "BACKEND_UNAVAILABLE" } });
  // Once per outage, however many calls and attempts fail.
  expect(heard).toEqual(["unreachable"]);

  const pending = backend.leases.acquire(lockRequest("down", { timeoutMs: 60_000 }));
  const fromNs = process.hrtime.bigint();
  await backend[Symbol.asyncDispose]();
  await expect(pending).rejects.toMatchObject({ code: "CLOSED" });
  expectWithin("closing", 15_000, { fromNs });
});

test("a frozen server: unknown outcome at the deadline, one event, and the connection is dropped and made anew", async () => {
  await using backend = redisBackend(server.url);
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  backend.onRestored(({ reason }) => heard.push(`not ${reason}`));
  const request = lockRequest("frozen", { queue: false, timeoutMs: 300 });
  await backend.leases.inspect("frozen", { timeoutMs });
  await server.pause();
  try {
    const fromNs = process.hrtime.bigint();
    await expect(backend.leases.acquire(request)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    expect(expectWithin("the answer", 5 * request.timeoutMs, { fromNs })).toBeGreaterThanOrEqual(299);
    // The connection is given up for its silence, and the next one does not become ready: nothing
    // is written on it.
    await expect
      .poll(() => backend.leases.release(request).catch((error: unknown) => error))
      .toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    expect(heard).toEqual(["unreachable"]);
  } finally {
    await server.resume();
  }
  await expect
    .poll(() => backend.leases.release({ ...request, timeoutMs, departedForMs: 1_000 }).catch(() => null))
    .toBeTypeOf("boolean");
  expect((await backend.leases.inspect("frozen", { timeoutMs })).holders).toEqual([]);
  expect(heard).toEqual(["unreachable", "not unreachable"]);
});

test("a connection that is lost while nobody needs it tells nothing", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  await using backend = redisBackend(proxy.url("redis"));
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  for (let i = 0; i < 3; i++) {
    await backend.leases.inspect("idle", { timeoutMs });
    proxy.reset();
    await proxy.until(({ connections }) => connections === 0);
    // It has noticed, and dials again by itself.
    await proxy.until(({ connections }) => connections === 1);
  }
  await backend.leases.inspect("idle", { timeoutMs });
  expect(heard).toEqual([]);
});

test("an answer that came while the event loop was blocked past the deadline is taken", async () => {
  await using backend = redisBackend(server.url);
  // The server knows the script, so one round trip answers.
  await backend.leases.acquire(lockRequest("warm up"));
  const asked = backend.leases.acquire(lockRequest("blocked", { queue: false, timeoutMs: 100 }));
  // After this turn of the loop, in which the request is written.
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      const until = performance.now() + 300;
      while (performance.now() < until);
      resolve();
    });
  });
  expect(await asked).toMatchObject({ kind: "granted" });
});

test("CLIENT KILL and SCRIPT FLUSH: the next renewal succeeds, and the claim is the same", async () => {
  await using backend = redisBackend(server.url);
  const request = lockRequest("killed");
  const ticket = ticketOf(await backend.leases.acquire(request));
  await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await admin.script("FLUSH");
  await expect
    .poll(() => backend.leases.renew([{ ...request, ticket }], { timeoutMs }))
    .toMatchObject([{ kind: "renewed", ticket, granted: true }]);
});

test("killed and restarted with its data: the same claim, and the outage told once", async () => {
  await using backend = redisBackend(server.url);
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  const request = lockRequest("restarted", { ttlMs: 60_000 });
  const ticket = ticketOf(await backend.leases.acquire(request));
  await server.kill();
  const [answer] = await backend.leases.renew([{ ...request, ticket }], { timeoutMs: 200 });
  expect(answer!.kind).toBe("unanswered");
  await server.start();
  await expect
    .poll(() => backend.leases.renew([{ ...request, ticket }], { timeoutMs }))
    .toMatchObject([{ kind: "renewed", ticket, granted: true }]);
  expect(heard.filter((reason) => reason === "unreachable")).toHaveLength(1);
});

test("a batch in which one chunk fails: the others are answered, each in its place", async () => {
  await using backend = redisBackend(server.url, { maxBatch: 2 });
  const requests = ["c1", "c2", "c3", "c4", "c5"].map((name) => lockRequest(`batch ${name}`));
  const tickets = await Promise.all(
    requests.map(async (request) => ticketOf(await backend.leases.acquire(request))),
  );
  await admin.set("leasehold:{batch%0020c2}", "of others");
  const renewals = requests.map((request, i) => ({ ...request, ticket: tickets[i]! }));
  const answers = await backend.leases.renew(renewals, { timeoutMs });
  expect(answers.map(({ kind }) => kind)).toEqual(["renewed", "unanswered", "renewed", "renewed", "renewed"]);
  expect(answers.map((answer) => ("ticket" in answer ? answer.ticket : null))).toEqual(
    tickets.with(1, null as never),
  );
});

test("replies that no script of ours gives are of unknown outcome, and reported", async () => {
  await using proxy = await startFaultProxy({ target: server.address });
  const client = new Redis(proxy.port, proxy.host);
  await using backend = redisBackend(client);
  const heard: string[] = [];
  backend.onDegraded(({ reason }) => heard.push(reason));
  const honest = client.evalsha.bind(client);
  for (const reply of ["OK", null, [["x"]], -1]) {
    client.evalsha = (async () => reply) as unknown as typeof client.evalsha;
    const request = lockRequest("hostile", { queue: false });
    await expect(backend.leases.acquire(request)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await expect(backend.leases.release(request)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    const proposal = { ...request, ticket: 1n, sequence: 1 };
    await expect(backend.leases.propose(proposal)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await expect(backend.leases.evict(request)).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
    await expect(backend.leases.inspect("hostile", { timeoutMs })).rejects.toMatchObject({
      code: "OUTCOME_UNKNOWN",
    });
    const [answer] = await backend.leases.renew([{ ...request, ticket: 1n }], { timeoutMs });
    expect(answer).toMatchObject({ kind: "unanswered", error: { code: "OUTCOME_UNKNOWN" } });
  }
  client.evalsha = honest;
  expect(heard).toContain("malformed-record");
  client.disconnect();
});
