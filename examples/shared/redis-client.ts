import { Redis } from "ioredis";

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
