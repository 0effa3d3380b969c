import { createCoordinator, type LeaseholdError } from "@leasehold/core";
import { redisBackend, redisFencingGuard } from "@leasehold/redis";
import { Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";

import { ownRedis } from "./own-redis.ts";
import { beginRequest, lockRequest, ticketOf } from "./requests.ts";

const { server, admin } = await ownRedis();
const timeoutMs = 2_000;

const rejection = async (work: Promise<unknown>): Promise<LeaseholdError> =>
  work.then(
    () => expect.unreachable("it should have been refused"),
    (error: LeaseholdError) => error,
  );

/** What a server refuses in this state, and how it is brought there and back. */
const states = {
  OOM: [
    /out of memory/,
    () => admin.config("SET", "maxmemory", "1"),
    () => admin.config("SET", "maxmemory", "0"),
  ],
  NOREPLICAS: [
    /min-replicas-to-write/,
    () => admin.config("SET", "min-replicas-to-write", "1"),
    () => admin.config("SET", "min-replicas-to-write", "0"),
  ],
  READONLY: [/is a replica/, () => admin.replicaof("127.0.0.1", "1"), () => admin.replicaof("NO", "ONE")],
} as const;

test.each(Object.entries(states))(
  "%s: a refusal is told as what it is, by whom and in its own words, and never as out of reach",
  async (word, [says, refuse, allow]) => {
    const backend = redisBackend(server.url);
    const told: string[] = [];
    backend.onDegraded(({ reason, message }) => told.push(`${reason}: ${message}`));
    const over: string[] = [];
    backend.onRestored(({ reason }) => over.push(reason));
    await using coordinator = createCoordinator({ backend });
    await refuse();
    onTestFinished(async () => void (await allow()));
    const error = await rejection(coordinator.lock("a").acquire({ waitMs: 400 }));
    const { host, port } = server.address;
    expect(error).toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: false });
    expect(error.message).toMatch(says);
    expect(error.message).toContain(`(${host}:${port}: ${word} `);
    expect(error.message).not.toMatch(/reach|not answer|\d\.\d+ ms/);
    expect((error.cause as Error).message).toMatch(says);
    // Asked again and again, told once.
    expect(told).toEqual([expect.stringMatching(/^refusing: /)]);
    expect(told[0]).toMatch(says);

    await allow();
    expect(over).toEqual([]);
    await (await coordinator.lock("a").acquire({ waitMs: 5_000 })).release();
    expect(over).toEqual(["refusing"]);
  },
);

test("a full server refuses what is new alone: that the rest succeeds does not mean that it is over", async () => {
  await using backend = redisBackend(server.url);
  const over: string[] = [];
  backend.onRestored(({ reason }) => over.push(reason));
  const held = lockRequest("held");
  const ticket = ticketOf(await backend.leases.acquire(held));
  await admin.config("SET", "maxmemory", "1");
  onTestFinished(async () => void (await admin.config("SET", "maxmemory", "0")));
  await expect(backend.leases.acquire(lockRequest("new"))).rejects.toThrow(/out of memory/);
  await expect(backend.idempotency.begin(beginRequest("new"))).rejects.toThrow(/out of memory/);
  expect(await backend.leases.renew([{ ...held, ticket }], { timeoutMs })).toMatchObject([
    { kind: "renewed" },
  ]);
  await backend.leases.inspect("held", { timeoutMs });
  const held2 = lockRequest("held", { queue: false });
  expect(await backend.leases.acquire(held2)).toMatchObject({ kind: "refused", reason: "held" });
  expect(await backend.leases.release(held)).toBe(true);
  expect(over).toEqual([]);
  await admin.config("SET", "maxmemory", "0");
  await backend.idempotency.begin(beginRequest("new"));
  expect(over).toEqual(["refusing"]);
});

/** A user who may do everything but this. */
async function userWithout(
  ...commands: string[]
): Promise<{ host: string; port: number; username: string; password: string }> {
  const less = commands.map((command) => `-${command}`);
  await admin.call("ACL", "SETUSER", "limited", "reset", "on", ">pass", "~*", "&*", "+@all", ...less);
  return { ...server.address, username: "limited", password: "pass" };
}

test.each(["pexpire", "hset", "zadd", "hdel"])(
  "a user who may not run %s: told at once and for good, and no key is left without an end",
  async (command) => {
    await using full = redisBackend(server.url);
    await using backend = redisBackend(await userWithout(command));
    await full.leases.acquire(lockRequest("held"));
    const steps = [
      backend.leases.acquire(lockRequest("fresh", { queue: false })),
      backend.leases.acquire(lockRequest("held")),
      backend.leases.release({ ...lockRequest("never"), departedForMs: 60_000 }),
      backend.idempotency.begin(beginRequest("record")),
    ];
    const outcomes = await Promise.all(steps.map((step) => step.catch((error: LeaseholdError) => error)));
    const refused = outcomes.filter((outcome) => outcome instanceof Error);
    expect(refused).not.toHaveLength(0);
    for (const error of refused) {
      expect(error).toMatchObject({ permanent: true });
      expect(error.message).toMatch(/acl\.txt/);
    }
    for (const key of await admin.keys("*")) expect(await admin.pttl(key), key).toBeGreaterThan(0);
  },
);

test("a command that was refused by right is asked about once per call, and nothing was written", async () => {
  await using coordinator = createCoordinator({ backend: redisBackend(await userWithout("pexpire")) });
  await admin.config("RESETSTAT");
  const error = await rejection(coordinator.lock("a").acquire({ waitMs: 60_000 }));
  expect(error).toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
  expect(error.message).toContain("NOPERM command 'pexpire'");
  expect(await admin.keys("*")).toEqual([]);
});

test("an error behind the guard tells what the script said, and nothing of what it was given", async () => {
  const client = new Redis(server.url);
  const limited = new Redis(await userWithout("incr"));
  onTestFinished(() => [client, limited].forEach((each) => each.disconnect()));
  await admin.set("text", "x");
  const given = { keys: ["text"], args: ["card-4242"] };
  const run = (through: Redis, script: string): Promise<LeaseholdError> =>
    rejection(redisFencingGuard(through).run("guarded", 1n, { script, ...given }));

  const own = [
    [await run(client, "return redis.error_reply('POOR not enough money')"), "POOR not enough money"],
    [await run(client, "local x = nil\nreturn x.y"), "user_script:3"],
    [await run(client, "return redis.call('HSET', KEYS[1], 'a', 'b')"), "WRONGTYPE"],
  ] as const;
  for (const [error, says] of own) {
    expect(error).toMatchObject({ name: "ReplyError", message: expect.stringContaining(says) });
    expect(Object.keys(error)).toEqual(["name"]);
  }
  const refused = await run(limited, "return redis.call('INCR', KEYS[1])");
  expect(refused).toMatchObject({ code: "OUTCOME_UNKNOWN", permanent: true });
  for (const error of [...own.map(([each]) => each), refused])
    expect(JSON.stringify([error, error.message, error.stack])).not.toContain("card-4242");

  await admin.set("leasehold:fence:guarded", "no token");
  expect(await run(client, "return 1")).toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
});
