import type { Redis } from "ioredis";
import { startRedis } from "../../test/servers/index.ts";
import { redisClient } from "./redis-client.ts";
import { newRun, type OpenPlace } from "./place.ts";

/**
 * The given Redis, or one that is started here; disposing removes the keys of this run, and stops the server if it is ours.
 * Throws an error that names the address when none answers there.
 */
export async function openRedis(show: string, url?: string): Promise<OpenPlace & { readonly client: Redis }> {
  const server = url === undefined ? await startRedis() : undefined;
  const place = { kind: "redis", url: url ?? server?.url ?? "", run: newRun(show) } as const;
  const address = new URL(place.url).host;
  const client = redisClient(place.url);
  const dispose = async (): Promise<void> => {
    try {
      await removeKeys(client, place.run);
    } finally {
      client.disconnect();
      await server?.stop();
    }
  };
  try {
    await client.ping();
  } catch (error) {
    await dispose().catch(() => undefined);
    throw new Error(
      `no Redis answers at ${address}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const where = `the Redis ${server === undefined ? "at" : "started at"} ${address}`;
  return { place, client, where, [Symbol.asyncDispose]: dispose };
}

/** The keys of locks and elections would go by themselves, in an hour; those of what they guard have no ttl. */
async function removeKeys(client: Redis, run: string): Promise<void> {
  let cursor = "0";
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", `${run}*`, "COUNT", 1000);
    if (keys.length > 0) await client.unlink(...keys);
    cursor = next;
  } while (cursor !== "0");
}
