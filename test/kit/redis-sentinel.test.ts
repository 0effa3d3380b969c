import { setTimeout as wait } from "node:timers/promises";

import { redisBackend } from "@leasehold/redis";
import { testBackend } from "@leasehold/testing";
import { Redis, type RedisOptions } from "ioredis";
import { afterAll, describe, it } from "vitest";

import { freePort } from "../servers/free-port.ts";
import { redisKind, redisRecipe, urlOf } from "../servers/redis.ts";
import { climb, type ServerKind } from "../servers/rung.ts";
import { steadySentinelRecipe } from "../servers/sentinel.ts";
import { startMemberProcesses } from "../servers/start-members.ts";
import { ServerProcess } from "../servers/server-process.ts";
import { ServerGroup } from "../servers/server-group.ts";
import { stalls } from "../stall/index.ts";
import { redisData } from "./redis-control.ts";
import { redisLink } from "./redis-link.ts";

// A master and its replica, which keep their data over a kill, and a Sentinel that tells of them.
// Each grant waits for the replica, so that the kit holds that store to the contract, too.
const name = "main";
const kind: ServerKind = {
  ...redisKind(),
  name: "redis sentinel",
  urlVariable: "LEASEHOLD_REDIS_SENTINEL_URL",
};
const [masterPort, replicaPort, sentinelPort] = await Promise.all([freePort(), freePort(), freePort()]);
const args = ["--repl-diskless-sync-delay", "0"];
const started = await climb<ServerGroup | undefined>(kind, {
  // Sentinel tells addresses that clients must reach, and writes to its own file.
  urls: () => undefined,
  docker: async () => undefined,
  path: (rung) =>
    startMemberProcesses(
      [
        redisRecipe(masterPort, { persistence: "aof", args }),
        redisRecipe(replicaPort, {
          persistence: "aof",
          args: [...args, "--replicaof", "127.0.0.1", String(masterPort)],
        }),
      ],
      rung,
      { afterStart: inStep },
    ),
});
const group = started ?? new ServerGroup([]);
const sentinel =
  started &&
  (await ServerProcess.start(steadySentinelRecipe(sentinelPort, { name, port: masterPort }), started.rung));

/** The replica is connected, and has all that the master has. */
async function inStep(): Promise<void> {
  const master = new Redis(masterPort, "127.0.0.1");
  master.on("error", () => {});
  while (!/state=online/.test(await master.info("replication"))) await wait(20);
  master.disconnect();
}

// Where servers are containers, or somebody else's, there is nothing to run this on.
const { skipIf } = describe;
const address = { host: "127.0.0.1", port: masterPort };
const control = new Redis(urlOf(address), { lazyConnect: true });
control.on("error", () => {});
const ways: AsyncDisposable[] = [];
afterAll(async () => {
  control.disconnect();
  for (const way of ways) await way[Symbol.asyncDispose]();
  await Promise.all([group.stop(), sentinel?.stop()]);
});
const open = (options: RedisOptions = {}): ReturnType<typeof redisBackend> =>
  redisBackend({ sentinels: [{ host: "127.0.0.1", port: sentinelPort }], name, ...options }, { replicas: 1 });

testBackend(
  "redis sentinel",
  {
    ttlMs: 1_000,
    concurrent: true,
    open: async () => open(),
    openThroughLink: async () => {
      const way = await redisLink([address]);
      ways.push(way);
      const { host, port } = way.proxies[0]!;
      return { backend: open({ natMap: { [`127.0.0.1:${masterPort}`]: { host, port } } }), link: way.link };
    },
    elapse: (ms) => wait(ms),
    stalledMs: (sinceNs) => stalls.stalledMs(sinceNs, process.hrtime.bigint()),
    store: {
      ...redisData(control, [address]),
      pause: () => group.pause(),
      resume: () => group.resume(),
      kill: () => group.kill(),
      start: ({ wipe }: { wipe: boolean }) => (wipe ? group.restart({ wipe }) : group.start()),
    },
    exempt: {
      "over a slow link a lease counts from the send of its request, not from the reply (R4)":
        "a grant that waits for replicas goes three times there and back, and its time is just enough for that",
    },
  },
  { describe: skipIf(started === undefined), it },
);
