import { redisBackend } from "@leasehold/redis";
import type { BeginRequest, Begun } from "@leasehold/core";
import { Cluster } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";

import { ownRedis } from "./own-redis.ts";
import { beginRequest, begunBy, finishOf } from "./requests.ts";
import { redisClusterForThisFile } from "../servers/for-this-file.ts";

const cluster = await redisClusterForThisFile();

type RedisBackend = ReturnType<typeof redisBackend>;

const { server, admin } = await ownRedis();

const keyOf = (record: string): string => `leasehold:{${record}}:idem`;

function open(): RedisBackend {
  const backend = redisBackend(server.url);
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  return backend;
}

async function begin(backend: RedisBackend, request: BeginRequest): Promise<BeginRequest & Begun> {
  return begunBy(request, await backend.idempotency.begin(request));
}

/** Until nobody's lease of this record runs any more. */
async function leaseEnded({ idempotency }: RedisBackend, record: string): Promise<void> {
  const asked = beginRequest(record, { takeOver: false });
  await expect.poll(async () => (await idempotency.begin(asked)).kind).toBe("expired");
}

describe("announcements", () => {
  test("of finish, release and takeover, of records that somebody watches; of others not one is published", async () => {
    const backend = open();
    const { idempotency } = backend;
    const published = async (): Promise<number> => {
      const stats = await admin.info("commandstats");
      return Number(/cmdstat_publish:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    };
    const told = async (what: string, step: () => Promise<unknown>, times: number): Promise<void> => {
      const before = await published();
      await step();
      expect((await published()) - before, what).toBe(times);
    };
    const quiet = beginRequest("quiet", { leaseMs: 100 });
    let run: BeginRequest & Begun;
    await told("a first call", () => begin(backend, quiet), 0);
    await leaseEnded(backend, "quiet");
    await told("a takeover that nobody watches", () => begin(backend, beginRequest("quiet")), 0);
    run = await begin(backend, beginRequest("quiet too"));
    await told("an end that nobody watches", () => idempotency.finish(finishOf(run)), 0);

    run = await begin(backend, beginRequest("asked"));
    await told("a watcher asks", () => idempotency.begin(beginRequest("asked", { watched: true })), 0);
    await told("it is finished", () => idempotency.finish(finishOf(run)), 1);
    await told("again", () => idempotency.finish(finishOf(run)), 0);
    await told("a watcher asks late", () => idempotency.begin(beginRequest("asked", { watched: true })), 0);
    expect(await admin.hget(keyOf("asked"), "watched")).toBe("1");

    run = await begin(backend, beginRequest("begun", { watched: true, leaseMs: 100 }));
    await leaseEnded(backend, "begun");
    await told("it is taken over", async () => (run = await begin(backend, beginRequest("begun"))), 1);
    const released = finishOf(run, { outcome: "released", body: null });
    await told("it is released", () => idempotency.finish(released), 1);
    await told("it is begun again", async () => (run = await begin(backend, beginRequest("begun"))), 0);
    await told("its end, to those who go on watching", () => idempotency.finish(finishOf(run)), 1);
  });

  test.each([
    ["has another payload", { fingerprint: "b".repeat(64) }],
    ["would not take it over", { takeOver: false }],
  ])("one who %s is heard to watch, too", async (_, more) => {
    const backend = open();
    const run = await begin(backend, beginRequest("watched", { leaseMs: 100 }));
    await leaseEnded(backend, "watched");
    const watcher = beginRequest("watched", { watched: true, ...more });
    expect(["mismatch", "expired"]).toContain((await backend.idempotency.begin(watcher)).kind);
    let heard = 0;
    const stop = backend.idempotency.watch("watched", () => void (heard += 1));
    await expect.poll(() => heard).toBe(1);
    expect(await backend.idempotency.finish(finishOf(run))).toBe("done");
    await expect.poll(() => heard).toBe(2);
    stop();
    await expect.poll(() => admin.pubsub("CHANNELS", "leasehold:changes:*")).toEqual([]);
  });

  test("a record and a resource of one name are heard apart", async () => {
    const backend = open();
    let heard = 0;
    let ends = 0;
    backend.leases.watch("twin", () => void (heard += 1));
    const stop = backend.idempotency.watch("twin", () => void (ends += 1));
    await expect.poll(() => [heard, ends]).toEqual([1, 1]);
    stop();
    const run = await begin(backend, beginRequest("twin", { watched: true }));
    await backend.idempotency.finish(finishOf(run));
    await admin.publish("leasehold:changes:twin", "");
    await expect.poll(() => heard).toBe(2);
  });
});

test("in a Cluster: records of all slots, each on its node, and announced to a subscriber on any", async () => {
  const clients = [0, 1].map(() => new Cluster([...cluster.urls]));
  onTestFinished(() => clients.forEach((client) => client.disconnect()));
  const [one, two] = clients.map((client) => redisBackend(client)) as [RedisBackend, RedisBackend];
  onTestFinished(async () => {
    await one[Symbol.asyncDispose]();
    await two[Symbol.asyncDispose]();
  });
  const namespace = Math.random().toString(36);
  await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const record = `${namespace} {slot} ${index}`;
      const run = await begin(one, beginRequest(record, { retentionMs: 5_000 }));
      let heard = 0;
      const stop = two.idempotency.watch(record, () => void (heard += 1));
      await expect.poll(() => heard).toBe(1);
      const waiting = await two.idempotency.begin(beginRequest(record, { watched: true }));
      expect(waiting).toMatchObject({ kind: "in-progress" });
      expect(await one.idempotency.extend(run)).toMatchObject({ kind: "extended" });
      const body = `result ${index}`;
      expect(await one.idempotency.finish(finishOf(run, { body, retentionMs: 5_000 }))).toBe("done");
      await expect.poll(() => heard).toBe(2);
      expect(await two.idempotency.begin(beginRequest(record))).toMatchObject({ kind: "finished", body });
      stop();
    }),
  );
});

test("closed, every call says so, and watches end", async () => {
  const backend = redisBackend(server.url);
  const run = await begin(backend, beginRequest("closed"));
  let heard = 0;
  backend.idempotency.watch("closed", () => void (heard += 1));
  await expect.poll(() => heard).toBe(1);
  await backend[Symbol.asyncDispose]();
  await expect.poll(() => admin.pubsub("CHANNELS", "leasehold:changes:*")).toEqual([]);
  const calls = [
    () => backend.idempotency.begin(run),
    () => backend.idempotency.extend(run),
    () => backend.idempotency.finish(finishOf(run)),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "CLOSED" });
  expect(() => backend.idempotency.watch("closed", () => {})).toThrow(
    expect.objectContaining({ code: "CLOSED" }),
  );
});
