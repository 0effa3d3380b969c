import { setTimeout as wait } from "node:timers/promises";

import type { Backend } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { testBackend } from "@leasehold/testing";
import { Cluster, type ClusterOptions } from "ioredis";
import { afterAll, describe, it } from "vitest";

import { redisClusterForThisFile } from "../servers/for-this-file.ts";
import { stalls } from "../stall/index.ts";
import { redisData } from "./redis-control.ts";
import { redisLink } from "./redis-link.ts";

// Three masters of its own, which keep their data over a kill: the kit breaks them.
const server = await redisClusterForThisFile({ persistence: "aof" });
const nodes = server.members.map(({ address }) => address);
const clients: Cluster[] = [];
const ways: AsyncDisposable[] = [];

/** The backend is handed a client as users make it; nothing about it is tuned for us. */
function connect(options: ClusterOptions = {}): Cluster {
  const client = new Cluster([...nodes], options);
  client.on("error", () => {});
  clients.push(client);
  return client;
}

const control = connect();

afterAll(async () => {
  for (const client of clients) client.disconnect();
  for (const way of ways) await way[Symbol.asyncDispose]();
});

async function openThroughLink(): Promise<{
  backend: Backend;
  link: Awaited<ReturnType<typeof redisLink>>["link"];
}> {
  const way = await redisLink(nodes);
  ways.push(way);
  const natMap = Object.fromEntries(
    nodes.map(({ host, port }, i) => [
      `${host}:${port}`,
      { host: way.proxies[i]!.host, port: way.proxies[i]!.port },
    ]),
  );
  return { backend: redisBackend(connect({ natMap })), link: way.link };
}

testBackend(
  "redis cluster",
  {
    ttlMs: 1_000,
    concurrent: true,
    open: async () => redisBackend(connect()),
    openThroughLink,
    elapse: (ms) => wait(ms),
    stalledMs: (sinceNs) => stalls.stalledMs(sinceNs, process.hrtime.bigint()),
    store: {
      ...redisData(control, nodes),
      ...(server.canSabotage && {
        pause: () => server.pause(),
        resume: () => server.resume(),
        kill: () => server.kill(),
        start: ({ wipe }: { wipe: boolean }) => (wipe ? server.restart({ wipe }) : server.start()),
      }),
    },
    exempt: {
      "a first request that arrives after its retry was granted and released is refused (R7)":
        "a client that was handed in keeps its connection, so a retry queues behind the request that is held back",
    },
  },
  { describe, it },
);
