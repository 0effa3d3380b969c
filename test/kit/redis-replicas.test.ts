import { setTimeout as wait } from "node:timers/promises";

import { redisBackend } from "@leasehold/redis";
import { testBackend } from "@leasehold/testing";
import { Redis, type RedisOptions } from "ioredis";
import { afterAll, beforeEach, describe, it } from "vitest";

import { freePort } from "../servers/free-port.ts";
import { findProgram } from "../servers/find-program.ts";
import { untilTheFileEnds } from "../servers/for-this-file.ts";
import { answersPing, redisKind, redisRecipe, urlOf } from "../servers/redis.ts";
import { sentinelRecipe } from "../servers/sentinel.ts";
import { startMemberProcesses } from "../servers/start-members.ts";
import { ServerProcess } from "../servers/server-process.ts";
import { ServerGroup } from "../servers/server-group.ts";
import { stalls } from "../stall/index.ts";
import { redisData } from "./redis-control.ts";
import { redisLink } from "./redis-link.ts";

// A master and its replica, which keep their data over a kill, and a Sentinel that tells of them.
// Each grant waits for the replica, so that the kit holds that store to the contract, too.
const name = "main";
const [masterPort, replicaPort, sentinelPort] = await Promise.all([freePort(), freePort(), freePort()]);
const args = ["--repl-diskless-sync-delay", "0"];
const isHere = findProgram(redisKind().program) !== undefined;
const group = isHere
  ? await startMemberProcesses(
      [
        redisRecipe(masterPort, { persistence: "aof", args }),
        redisRecipe(replicaPort, {
          persistence: "aof",
          args: [...args, "--replicaof", "127.0.0.1", String(masterPort)],
        }),
      ],
      "path",
      { afterStart: inStep },
    )
  : new ServerGroup([]);
if (isHere) untilTheFileEnds(group, answersPing);
const sentinel =
  isHere && (await ServerProcess.start(sentinelRecipe(sentinelPort, { name, port: masterPort }), "path"));

/** The replica is connected, and has all that the master has. */
async function inStep(): Promise<void> {
  const master = new Redis(masterPort, "127.0.0.1");
  master.on("error", () => {});
  while (!/state=online/.test(await master.info("replication"))) await wait(20);
  master.disconnect();
}

const address = { host: "127.0.0.1", port: masterPort };
const control = new Redis(urlOf(address), { lazyConnect: true });
control.on("error", () => {});
const ways: AsyncDisposable[] = [];
beforeEach(({ skip }) => {
  if (!isHere)
    skip("redis-server is not on PATH, and Sentinel needs servers that are processes of this host");
});
afterAll(async () => {
  control.disconnect();
  for (const way of ways) await way[Symbol.asyncDispose]();
  if (sentinel !== false) await sentinel.stop();
});
const open = (options: RedisOptions = {}): ReturnType<typeof redisBackend> =>
  redisBackend({ sentinels: [{ host: "127.0.0.1", port: sentinelPort }], name, ...options }, { replicas: 1 });

testBackend(
  "redis with replicas: 1, behind Sentinel",
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
  { describe, it },
);
