import { setTimeout as wait } from "node:timers/promises";

import { redisBackend } from "@leasehold/redis";
import { testBackend } from "@leasehold/testing";
import { Redis } from "ioredis";
import { afterAll, describe, it } from "vitest";

import { redisForThisFile } from "../servers/for-this-file.ts";
import { stalls } from "../stall/index.ts";
import { redisData } from "./redis-control.ts";
import { redisLink } from "./redis-link.ts";

// A server of its own, which keeps its data over a kill: the kit breaks it.
const server = await redisForThisFile({ persistence: "aof" });
const control = new Redis(server.url);
control.on("error", () => {});
const ways: AsyncDisposable[] = [];

afterAll(async () => {
  control.disconnect();
  for (const way of ways) await way[Symbol.asyncDispose]();
});

testBackend(
  "redis",
  {
    ttlMs: 1_000,
    concurrent: true,
    open: async () => redisBackend(server.url),
    openThroughLink: async () => {
      const way = await redisLink([server.address]);
      ways.push(way);
      return { backend: redisBackend(way.proxies[0]!.url("redis")), link: way.link };
    },
    elapse: (ms) => wait(ms),
    stalledMs: (sinceNs) => stalls.stalledMs(sinceNs, process.hrtime.bigint()),
    store: {
      ...redisData(control, [server.address]),
      ...(server.canSabotage && {
        pause: () => server.pause(),
        resume: () => server.resume(),
        kill: () => server.kill(),
        start: ({ wipe }: { wipe: boolean }) => (wipe ? server.restart({ wipe }) : server.start()),
      }),
    },
  },
  { describe, it },
);
