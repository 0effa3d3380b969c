import { Redis } from "ioredis";
import { findProgram } from "./find-program.ts";
import { freePort } from "./free-port.ts";
import type { Address, ManagedServer, ServerRecipe } from "./managed-server.ts";
import { redisKind, redisRecipe } from "./redis.ts";
import { sentinelRecipe } from "./sentinel.ts";
import { ServerProcess } from "./server-process.ts";
import { waitUntil } from "./wait-until.ts";

/** A master, its replica, and one Sentinel that alone decides on a failover. */
export interface RedisSentinel extends AsyncDisposable {
  readonly sentinels: readonly Address[];
  /** As Sentinel knows it. */
  readonly name: string;
  readonly master: ManagedServer;
  readonly replica: ManagedServer;
  /** Resolves when Sentinel names the replica as the master. */
  failedOver(): Promise<void>;
  stop(): Promise<void>;
}

const name = "main";

/**
 * Starts them as processes whatever the rung, for Sentinel tells addresses that clients must reach.
 * Undefined where the program is not on this machine.
 */
export async function startRedisSentinel(): Promise<RedisSentinel | undefined> {
  if (findProgram(redisKind().program) === undefined) return undefined;
  const [masterPort, replicaPort, sentinelPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const started: ServerProcess[] = [];
  const start = async (recipe: ServerRecipe): Promise<ServerProcess> => {
    const server = await ServerProcess.start(recipe, "path");
    started.push(server);
    return server;
  };
  const stop = async (): Promise<void> => void (await Promise.all(started.map((server) => server.stop())));
  try {
    const master = await start(redisRecipe(masterPort, { args: ["--repl-diskless-sync-delay", "0"] }));
    const replica = await start(
      redisRecipe(replicaPort, { args: ["--replicaof", `127.0.0.1 ${masterPort}`] }),
    );
    const { address } = await start(
      sentinelRecipe(sentinelPort, { name, port: masterPort, downAfterMs: 500 }),
    );
    const told = (ask: (client: Redis) => Promise<boolean>, what: string): Promise<void> =>
      waitUntil(what, () => asking(address, ask));
    await told(knowsReplica, "Sentinel knows the replica");
    return {
      ...{ sentinels: [address], name, master, replica, stop },
      failedOver: () =>
        told(
          async (client) =>
            masterPortOf(await client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)) === replicaPort,
          "Sentinel has failed over",
        ),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function asking(address: Address, ask: (client: Redis) => Promise<boolean>): Promise<boolean> {
  const client = new Redis({
    ...address,
    lazyConnect: true,
    retryStrategy: () => null,
    commandTimeout: 1_000,
  });
  client.on("error", () => {});
  try {
    return await ask(client);
  } catch {
    return false;
  } finally {
    client.disconnect();
  }
}

async function knowsReplica(client: Redis): Promise<boolean> {
  const replicas = await client.call("SENTINEL", "REPLICAS", name);
  return Array.isArray(replicas) && replicas.length === 1 && JSON.stringify(replicas).includes('"ok"');
}

function masterPortOf(reply: unknown): number {
  return Array.isArray(reply) ? Number(reply[1]) : 0;
}
