import { readFileSync } from "node:fs";

import type { AcquireRequest } from "@leasehold/core";
import { redisBackend, redisFencingGuard } from "@leasehold/redis";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { expectWithin } from "../stall/index.ts";
import { startRedis, type RedisServer } from "../servers/index.ts";
import { beginRequest, begunBy, finishOf, lockRequest, ticketOf } from "./requests.ts";

let server: RedisServer;
let admin: Redis;
beforeAll(async () => {
  server = await startRedis();
  admin = new Redis(server.url);
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});
beforeEach(({ skip }) => {
  if (!server.canSabotage) skip("the Redis comes from the environment, and its users are not ours to change");
});

/** The rights that the package tells its users to give, with some more or fewer words. */
async function user(name: string, { less = [] as string[], more = [] as string[] } = {}): Promise<object> {
  const file = readFileSync(new URL("../../packages/redis/acl.txt", import.meta.url), "utf8");
  const rule = file.split("\n").find((line) => line.startsWith("on >CHANGE-ME"))!;
  const words = rule.replace(">CHANGE-ME", ">pass").split(" ");
  await admin.call("ACL", "SETUSER", name, "reset", ...words.filter((word) => !less.includes(word)), ...more);
  const { host, port } = server.address;
  return { host, port, username: name, password: "pass" };
}

test("everything works for a user with the rights of acl.txt, and nothing was refused", async () => {
  const options = await user("service");
  await admin.call("ACL", "LOG", "RESET");
  await using backend = redisBackend(options);
  const pushed: bigint[] = [];
  backend.leases.onGrant({ granted: ({ ticket }) => pushed.push(ticket) > 0, lookAgain: () => {} });
  let changes = 0;
  const stop = backend.leases.watch("acl", () => void (changes += 1));
  await expect.poll(() => changes).toBe(1);
  const announce = true;
  const [first, second, third] = [0, 1, 2].map(() => lockRequest("acl", { announce })) as [
    AcquireRequest,
    AcquireRequest,
    AcquireRequest,
  ];

  const ticket = ticketOf(await backend.leases.acquire(first));
  const next = ticketOf(await backend.leases.acquire(second));
  await backend.leases.acquire(third);
  const renewals = [
    { ...first, ticket },
    { ...second, ticket: next },
  ];
  expect(await backend.leases.renew(renewals, { timeoutMs: 2_000 })).toMatchObject([
    { kind: "renewed", granted: true },
    { kind: "renewed", granted: false },
  ]);
  expect((await backend.leases.inspect("acl", { timeoutMs: 2_000 })).line).toHaveLength(2);
  expect(await backend.leases.propose({ ...first, ticket, value: "v", sequence: 1 })).toBe(true);
  expect(await backend.leases.evict(third)).toBe(true);
  expect(await backend.leases.release({ ...first, departedForMs: 5_000 })).toBe(true);
  await expect.poll(() => pushed).toEqual([next]);
  expect(await backend.leases.acquire(first)).toEqual({ kind: "refused", reason: "departed" });
  expect(await backend.leases.release(second)).toBe(true);
  expect(changes).toBeGreaterThan(1);

  let ended = 0;
  const stopAwaiting = backend.idempotency.watch("acl", () => void (ended += 1));
  await expect.poll(() => ended).toBe(1);
  const request = beginRequest("acl", { leaseMs: 100, watched: true });
  const late = begunBy(request, await backend.idempotency.begin(request));
  const again = beginRequest("acl");
  await expect.poll(async () => (await backend.idempotency.begin(again)).kind).toBe("begun");
  const run = begunBy(again, await backend.idempotency.begin(again));
  expect(await backend.idempotency.begin(beginRequest("acl", { watched: true }))).toMatchObject({
    kind: "in-progress",
  });
  expect(await backend.idempotency.extend(run)).toMatchObject({ kind: "extended" });
  expect(await backend.idempotency.finish(finishOf(late))).toBe("fenced");
  expect(await backend.idempotency.finish(finishOf(run))).toBe("done");
  expect(await backend.idempotency.begin(beginRequest("acl"))).toMatchObject({ kind: "finished" });
  await expect.poll(() => ended).toBeGreaterThan(1);
  stop();
  stopAwaiting();
  await expect.poll(() => admin.pubsub("CHANNELS", "leasehold:changes:*")).toEqual([]);

  const client = new Redis(options);
  const guard = redisFencingGuard(client);
  await guard.claim("acl", ticket);
  await guard.check("acl", ticket);
  const script = "return redis.call('INCR', KEYS[1])";
  await expect(guard.run("acl", ticket, { script, keys: ["leasehold:acl"] })).rejects.toMatchObject({
    code: "OUTCOME_UNKNOWN",
    permanent: true,
  });
  client.disconnect();
  const log = ((await admin.call("ACL", "LOG")) as string[][]).map(
    (entry) => entry[entry.indexOf("object") + 1],
  );
  // ioredis introduces itself, and does without. The guarded script's own command is left to its
  // author.
  expect(log.filter((command) => !command?.startsWith("client"))).toEqual(["incr"]);
});

test("outside its prefix the user is refused, with an error that asking again does not mend", async () => {
  const options = await user("narrow");
  await using backend = redisBackend(options, { prefix: "other" });
  await expect(backend.leases.acquire(lockRequest("acl", { queue: false }))).rejects.toMatchObject({
    code: "BACKEND_UNAVAILABLE",
    permanent: true,
  });
  await expect(backend.idempotency.begin(beginRequest("acl"))).rejects.toMatchObject({
    code: "BACKEND_UNAVAILABLE",
    permanent: true,
  });
  expect(await admin.keys("other*")).toEqual([]);
});

test("without the right to publish, steps still succeed whole, and waiters learn of grants by renewing", async () => {
  const options = await user("mute", { less: ["+publish"] });
  await using backend = redisBackend(options);
  const [first, second] = [lockRequest("mute"), lockRequest("mute")];
  await backend.leases.acquire(first);
  const ticket = ticketOf(await backend.leases.acquire(second));
  expect(await backend.leases.release(first)).toBe(true);
  const answer = await backend.leases.renew([{ ...second, ticket }], { timeoutMs: 2_000 });
  expect(answer).toMatchObject([{ kind: "renewed", granted: true }]);
  const request = beginRequest("mute", { watched: true });
  const run = begunBy(request, await backend.idempotency.begin(request));
  expect(await backend.idempotency.finish(finishOf(run))).toBe("done");
  expect(await backend.idempotency.begin(beginRequest("mute"))).toMatchObject({ kind: "finished" });
});

test("without the right to subscribe, claims still join, and operators hear why no push comes", async () => {
  const options = await user("deaf", { less: ["+subscribe"] });
  await using backend = redisBackend(options);
  const heard: string[] = [];
  backend.onDegraded(({ reason, message }) => heard.push(`${reason}: ${message}`));
  expect((await backend.leases.acquire(lockRequest("deaf"))).kind).toBe("granted");
  expect((await backend.leases.acquire(lockRequest("deaf"))).kind).toBe("queued");
  expect(heard).toEqual([expect.stringMatching(/^pushes-interrupted: .*acl\.txt/)]);
});

test("without the right to the channels of changes, steps succeed, grants are pushed, and operators hear once", async () => {
  const options = await user("old", { less: ["&leasehold:changes:*"] });
  await using backend = redisBackend(options);
  const heard: string[] = [];
  backend.onDegraded(({ reason, message }) => heard.push(`${reason}: ${message}`));
  const pushed: string[] = [];
  backend.leases.onGrant({ granted: ({ owner }) => pushed.push(owner) > 0, lookAgain: () => {} });
  const [first, second] = [lockRequest("old", { announce: true }), lockRequest("old", { announce: true })];
  for (const name of ["old", "other"])
    await new Promise<void>((resolve) => backend.leases.watch(name, resolve));
  const ticket = ticketOf(await backend.leases.acquire(first));
  await backend.leases.acquire(second);
  expect(await backend.leases.propose({ ...first, ticket, value: "v", sequence: 1 })).toBe(true);
  expect(await backend.leases.release(first)).toBe(true);
  await expect.poll(() => pushed).toEqual([second.owner]);
  expect(heard).toEqual([expect.stringMatching(/^pushes-interrupted: .*acl\.txt/)]);
});

test.each([
  ["a wrong password", { password: "5ecret" }],
  ["an unknown user", { username: "nobody" }],
])("%s is told at once, not at the deadline, and without the password", async (_, wrong) => {
  const options = await user("known");
  await using backend = redisBackend({ ...options, ...wrong });
  const fromNs = process.hrtime.bigint();
  const timeoutMs = 60_000;
  const failure = backend.leases.acquire(lockRequest("x", { timeoutMs }));
  await expect(failure).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
  await expect(failure).rejects.toThrow(/user name or the password/);
  await expect(failure).rejects.not.toThrow(/5ecret/);
  expectWithin("the refusal", timeoutMs / 4, { fromNs });
});
