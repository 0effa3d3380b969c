import { createCoordinator } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import type { Redis } from "ioredis";
import { startRedis } from "../../test/servers/index.ts";
import { newRun, type Place } from "./place.ts";
import { processCrew } from "./process-crew.ts";
import { balanceKey, redisAccount, redisClient } from "./redis-place.ts";
import type { StageBuilder } from "./stage.ts";

/** Six processes on a Redis: the given one, or one that is started and stopped here. */
export const redisStage: StageBuilder = async (job, initial, url) => {
  const server = url === undefined ? await startRedis() : undefined;
  const place: Place = { kind: "redis", url: url ?? server?.url ?? "", run: newRun() };
  const where = new URL(place.url).host;
  const client = redisClient(place.url);
  const crew = processCrew(place, job);
  const coordinator = createCoordinator({
    backend: redisBackend(place.url, { prefix: place.run }),
    namespace: place.run,
    ttlMs: job.ttlMs,
  });
  const strike = async (): Promise<void> => {
    await crew.stop();
    await coordinator.close();
    try {
      await removeKeys(client, place.run);
    } finally {
      client.disconnect();
      await server?.stop();
    }
  };
  try {
    await client.set(balanceKey(place.run), initial);
  } catch (error) {
    await strike().catch(() => undefined);
    throw new Error(
      `no Redis answers at ${where}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const setting = `six processes on the Redis ${server === undefined ? "at" : "started at"} ${where}`;
  return { crew, account: redisAccount(client, place.run), coordinator, setting, strike };
};

/** The lock's keys would go by themselves, in an hour; the account's have no ttl. */
async function removeKeys(client: Redis, run: string): Promise<void> {
  let cursor = "0";
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", `${run}*`, "COUNT", 1000);
    if (keys.length > 0) await client.unlink(...keys);
    cursor = next;
  } while (cursor !== "0");
}
