import { setTimeout as wait } from "node:timers/promises";

import { redisBackend } from "@leasehold/redis";
import { testBackend } from "@leasehold/testing";
import { Redis } from "ioredis";
import { afterAll, describe, it } from "vitest";

import { startRedisSentinel } from "../servers/redis-sentinel.ts";
import { stalls } from "../stall/index.ts";
import { redisData } from "./redis-control.ts";
import { redisLink } from "./redis-link.ts";

// Nothing here makes it fail over: test/redis/failover.test.ts does.
const group = await startRedisSentinel();

if (group === undefined) describe.skip("redis behind Sentinel: its servers must be processes of this host");
else {
  const { sentinels, name, master } = group;
  const { host, port } = master.address;
  const control = new Redis(port, host);
  const ways: AsyncDisposable[] = [];
  afterAll(async () => {
    control.disconnect();
    for (const way of ways) await way[Symbol.asyncDispose]();
    await group.stop();
  });
  testBackend(
    "redis behind Sentinel",
    {
      ttlMs: 1_000,
      concurrent: true,
      open: async () => redisBackend({ sentinels: [...sentinels], name }),
      openThroughLink: async () => {
        const way = await redisLink([master.address]);
        ways.push(way);
        const proxy = way.proxies[0]!;
        const natMap = { [`${host}:${port}`]: { host: proxy.host, port: proxy.port } };
        return { backend: redisBackend({ sentinels: [...sentinels], name, natMap }), link: way.link };
      },
      elapse: (ms) => wait(ms),
      stalledMs: (sinceNs) => stalls.stalledMs(sinceNs, process.hrtime.bigint()),
      store: redisData(control, [master.address]),
    },
    { describe, it },
  );
}
