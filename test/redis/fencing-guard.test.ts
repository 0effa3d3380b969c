import { redisFencingGuard } from "@leasehold/redis";
import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { startRedis, startRedisCluster, type RedisServer } from "../servers/index.ts";

let server: RedisServer;
let client: Redis;
beforeAll(async () => {
  server = await startRedis();
  client = new Redis(server.url);
});
afterAll(async () => {
  client.disconnect();
  await server.stop();
});

/** Tokens beside which a double has no neighbour. */
const big = 9007199254740993n;
let names = 0;
const fresh = (): string => `account ${process.pid} ${++names}`;
const stale = { code: "STALE_TOKEN" };

describe("claim and check", () => {
  test("a lower token is refused, an equal one accepted, a higher one raises the fence", async () => {
    const guard = redisFencingGuard(client);
    const resource = fresh();
    await guard.check(resource, 0n);
    await guard.claim(resource, big);
    await guard.claim(resource, big);
    await expect(guard.claim(resource, big - 1n)).rejects.toMatchObject(stale);
    await expect(guard.claim(resource, 9n)).rejects.toThrow(`has seen token ${big}`);
    await guard.claim(resource, big + 1n);
    await expect(guard.claim(resource, big)).rejects.toMatchObject(stale);
    await guard.claim(resource, 10n ** 20n);
    await expect(guard.claim(resource, 99_999_999_999_999_999_999n)).rejects.toMatchObject(stale);
  });

  test("a reader is refused only by a higher claim, and claims nothing", async () => {
    const guard = redisFencingGuard(client);
    const resource = fresh();
    await guard.claim(resource, 5n);
    await guard.check(resource, 9n);
    await guard.claim(resource, 5n);
    await expect(guard.check(resource, 4n)).rejects.toMatchObject(stale);
  });

  test("the fence has no end, even if somebody gave it one", async () => {
    const guard = redisFencingGuard(client, { prefix: "fenced" });
    await guard.claim("x{1}", 5n);
    await client.expire("fenced:fence:x{1}", 100);
    await guard.claim("x{1}", 6n);
    expect(await client.ttl("fenced:fence:x{1}")).toBe(-1);
    await client.del("fenced:fence:x{1}");
  });

  test("a token that is none, and a fence that is none", async () => {
    const guard = redisFencingGuard(client);
    for (const token of [-1n, 5, "5", undefined])
      await expect(guard.claim("x", token as bigint)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await client.set("leasehold:fence:spoilt", "5ecret");
    onTestFinished(async () => void (await client.del("leasehold:fence:spoilt")));
    const failure = guard.claim("spoilt", 5n);
    await expect(failure).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
    await expect(failure).rejects.not.toThrow("5ecret");
  });
});

describe("run", () => {
  test("the script sees its own KEYS and ARGV, and its result comes as it is", async () => {
    const guard = redisFencingGuard(client);
    const script = "return {#KEYS, #ARGV, KEYS[1], ARGV[2], fenceKey == nil, false, 'last'}";
    const result = await guard
      .run(fresh(), 1n, { script, keys: ["k"], args: ["a", "b"] })
      .catch((e: Error) => e);
    // A name that is not defined is an error in Redis: nothing of the guard's is visible.
    expect(String(result)).toMatch(/nonexistent global variable 'fenceKey'/);
    const seen = "return {#KEYS, #ARGV, KEYS[1], ARGV[2], 'last'}";
    expect(await guard.run(fresh(), 1n, { script: seen, keys: ["k"], args: ["a", "b"] })).toEqual([
      1,
      2,
      "k",
      "b",
      "last",
    ]);
    expect(await guard.run(fresh(), 1n, { script: "return nil" })).toBeNull();
    expect(await guard.run(fresh(), 1n, { script: "-- a comment at the end" })).toBeNull();
  });

  test("a stale token runs nothing; an error of the script is its own, and the claim stays", async () => {
    const guard = redisFencingGuard(client);
    const [resource, key] = [fresh(), fresh()];
    const script = "return redis.call('INCR', KEYS[1])";
    expect(await guard.run(resource, 7n, { script, keys: [key] })).toBe(1);
    await expect(guard.run(resource, 6n, { script, keys: [key] })).rejects.toMatchObject(stale);
    expect(await client.get(key)).toBe("1");
    const failing = "return redis.error_reply('ERR not enough money')";
    await expect(guard.run(resource, 8n, { script: failing })).rejects.toThrow("not enough money");
    await expect(guard.claim(resource, 7n)).rejects.toMatchObject(stale);
    await expect(guard.run(resource, 8n, { script: "#!lua\nreturn 1" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test("many writers at once, each with a token of its own: what is written never goes back", async () => {
    const resource = fresh();
    const key = fresh();
    const writers = Array.from({ length: 4 }, () => new Redis(server.url));
    onTestFinished(() => writers.forEach((writer) => writer.disconnect()));
    // Appends its token: so the list tells the order in which the server took the writes.
    const script = "return redis.call('RPUSH', KEYS[1], ARGV[1])";
    const tokens = Array.from({ length: 400 }, (_, i) => big + BigInt((i * 181) % 400));
    const results = await Promise.allSettled(
      tokens.map((token, i) =>
        redisFencingGuard(writers[i % 4]!).run(resource, token, {
          script,
          keys: [key],
          args: [String(token)],
        }),
      ),
    );
    const written = (await client.lrange(key, 0, -1)).map(BigInt);
    expect(written).toEqual(written.toSorted((a, b) => (a < b ? -1 : 1)));
    expect(written.at(-1)).toBe(big + 399n);
    const refused = results.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
    for (const { reason } of refused) expect(reason).toMatchObject(stale);
    expect(written.length + refused.length).toBe(400);
    await client.del(key);
  });

  test("ioredis 5, and a server that lost its scripts", async () => {
    const client5 = new Redis5(server.url);
    onTestFinished(() => client5.disconnect());
    const guard = redisFencingGuard(client5);
    const resource = fresh();
    expect(await guard.run(resource, 7n, { script: "return 'done'" })).toBe("done");
    await client5.script("FLUSH");
    expect(await guard.run(resource, 7n, { script: "return 'done'" })).toBe("done");
    await expect(guard.claim(resource, 6n)).rejects.toMatchObject(stale);
  });
});

test("in a Cluster the fence lies in the slot of its {tag}, beside the data", async () => {
  const nodes = await startRedisCluster();
  const cluster = new Cluster(nodes.members.map(({ address }) => address));
  onTestFinished(async () => {
    cluster.disconnect();
    await nodes.stop();
  });
  const guard = redisFencingGuard(cluster);
  const script = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
  for (const id of ["1", "2", "3", "4"]) {
    const call = { script, keys: [`balance:{${id}}`], args: ["5"] };
    expect(await guard.run(`account:{${id}}`, 7n, call)).toBe(5);
    await expect(guard.run(`account:{${id}}`, 6n, call)).rejects.toMatchObject(stale);
  }
  const apart = guard.run("account:9", 7n, { script, keys: ["balance:9", "other"], args: ["5"] });
  await expect(apart).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
  await expect(apart).rejects.toThrow(/\{tag\}/);
});
