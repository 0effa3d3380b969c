import { Redis } from "ioredis";
import { startRedis } from "../../test/servers/index.ts";
import type { StoreKind } from "./store-kind.ts";

export const redis: StoreKind = {
  title: "Redis",
  start: startRedis,
  connect: (url) => {
    const client = redisClient(url);
    return {
      ping: () => client.ping(),
      removeKeys: (run) => removeKeys(client, run),
      close: () => client.disconnect(),
    };
  },
};

/** A client that fails rather than waits, and sends nothing twice. */
export function redisClient(url: string): Redis {
  const client = new Redis(url, {
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: 5_000,
  });
  // Whatever fails, fails at the call; without a listener ioredis would print it as well.
  client.on("error", () => undefined);
  return client;
}

/** The SDK's own keys would go by themselves, in an hour. The guarded data's have no ttl. */
async function removeKeys(client: Redis, run: string): Promise<void> {
  let cursor = "0";
  do {
    const [next, keys] = await client.scan(cursor, "MATCH", `${run}*`, "COUNT", 1000);
    if (keys.length > 0) await client.unlink(...keys);
    cursor = next;
  } while (cursor !== "0");
}
