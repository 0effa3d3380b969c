import { setTimeout as wait } from "node:timers/promises";

import { redisBackend } from "@leasehold/redis";
import { testBackend } from "@leasehold/testing";
import { Cluster } from "ioredis";
import { afterAll, describe, inject, it } from "vitest";

import { redisData } from "./redis-control.ts";

const nodes = inject("redisClusterUrls").map((url) => {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
});
const control = new Cluster(nodes);
const clients: Cluster[] = [];

afterAll(() => {
  for (const client of [control, ...clients]) client.disconnect();
});

const open = async (): Promise<ReturnType<typeof redisBackend>> => {
  const client = new Cluster(nodes);
  clients.push(client);
  return redisBackend(client);
};

// Three masters; the kit's faults of links and servers run against the single Redis, which speaks through the same code.
testBackend(
  "redis cluster",
  { ttlMs: 600, concurrent: true, open, elapse: (ms) => wait(ms), store: redisData(control) },
  { describe, it },
);
