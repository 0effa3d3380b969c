import { createCoordinator } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { openRedis } from "../shared/redis-place.ts";
import { processCrew } from "./process-crew.ts";
import { balanceKey, redisAccount } from "./redis-place.ts";
import type { StageBuilder } from "./stage.ts";

/** Six processes on a Redis: the given one, or one that is started and stopped here. */
export const redisStage: StageBuilder = async (job, initial, url) => {
  const opened = await openRedis("demo", url);
  const { place, client, where } = opened;
  try {
    await client.set(balanceKey(place.run), initial);
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
  const crew = processCrew(place, job);
  const coordinator = createCoordinator({
    backend: redisBackend(place.url, { prefix: place.run }),
    namespace: place.run,
    ttlMs: job.ttlMs,
  });
  return {
    crew,
    account: redisAccount(client, place.run),
    coordinator,
    setting: `six processes on ${where}`,
    strike: async () => {
      await crew.stop();
      await coordinator.close();
      await opened[Symbol.asyncDispose]();
    },
  };
};
