import { setTimeout as wait } from "node:timers/promises";

import { redisBackend } from "@leasehold/redis";
import { testBackend } from "@leasehold/testing";
import { Redis } from "ioredis";
import { afterAll, beforeEach, describe, it } from "vitest";

import { answersPing } from "../servers/redis.ts";
import { startRedisSentinel } from "../servers/redis-sentinel.ts";
import { beatServer, stalls } from "../stall/index.ts";
import { redisData } from "./redis-control.ts";
import { redisLink } from "./redis-link.ts";

// Nothing here makes it fail over: test/redis/failover.test.ts does.
const group = await startRedisSentinel();
const { host, port } = group?.master.address ?? { host: "127.0.0.1", port: 0 };
const source = { sentinels: [...(group?.sentinels ?? [])], name: group?.name ?? "" };
const control = new Redis({ host, port, lazyConnect: true });
const stopBeating = group && beatServer(() => answersPing(group.master.address));
const ways: AsyncDisposable[] = [];

beforeEach(({ skip }) => {
  if (group === undefined)
    skip("redis-server is not on PATH, and Sentinel needs servers that are processes of this host");
});
afterAll(async () => {
  control.disconnect();
  for (const way of ways) await way[Symbol.asyncDispose]();
  stopBeating?.();
  await group?.stop();
});

testBackend(
  "redis behind Sentinel",
  {
    ttlMs: 1_000,
    concurrent: true,
    open: async () => redisBackend(source),
    openThroughLink: async () => {
      const way = await redisLink([{ host, port }]);
      ways.push(way);
      const proxy = way.proxies[0]!;
      const natMap = { [`${host}:${port}`]: { host: proxy.host, port: proxy.port } };
      return { backend: redisBackend({ ...source, natMap }), link: way.link };
    },
    elapse: (ms) => wait(ms),
    stalledMs: (sinceNs) => stalls.stalledMs(sinceNs, process.hrtime.bigint()),
    store: redisData(control, [{ host, port }]),
  },
  { describe, it },
);
