import { Redis } from "ioredis";
import { afterAll, beforeEach } from "vitest";

import { startRedis, type RedisServer } from "../servers/index.ts";

/**
 * A Redis for one test file alone, empty before each test, and an operator's way to it. One from
 * the environment may be others': then the tests are skipped, and say so.
 */
export async function ownRedis(): Promise<{ readonly server: RedisServer; readonly admin: Redis }> {
  const server = await startRedis();
  const admin = new Redis(server.url);
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });
  beforeEach(async ({ skip }) => {
    if (!server.canSabotage) skip("the Redis comes from the environment, and its data are not ours to break");
    await admin.flushall();
  });
  return { server, admin };
}
