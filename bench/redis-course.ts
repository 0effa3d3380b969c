import { redisBackend } from "@leasehold/redis";
import { Redis } from "ioredis";
import type { Course, Worker } from "./measure.ts";
import { ourLock, workerCount } from "./our-lock.ts";

const compareAndDelete =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/**
 * The floor: SET NX PX with EVALSHA compare-and-delete, and a token that goes around by LPUSH and
 * BLPOP.
 */
export async function redisCourse(url: string, run: string): Promise<Course> {
  const connect = (): Redis => new Redis(url, { maxRetriesPerRequest: 0 });
  const client = connect();
  const sha = (await client.script("LOAD", compareAndDelete)) as string;
  const blocked = Array.from({ length: workerCount }, connect);
  const ring = (index: number): string => `${run}:ring:${index % workerCount}`;
  const lock = ourLock(() => redisBackend(url, { prefix: run, ticketTtlMs: 60_000 }), run);
  await client.lpush(ring(0), "token");
  return {
    floor: {
      name: "SET NX PX + EVALSHA, BLPOP ring",
      pair: async (name) => {
        await client.set(`${run}:${name}`, "owner", "PX", 30_000, "NX");
        await client.evalsha(sha, 1, `${run}:${name}`, "owner");
      },
      workers: blocked.map((connection, index): Worker => ({
        take: async () => {
          await connection.blpop(ring(index), 0);
          return () => connection.lpush(ring(index + 1), "token");
        },
      })),
    },
    ours: lock,
    serverSeconds: async () => {
      const info = await client.info("cpu");
      const used = info.matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm);
      return [...used].reduce((sum, [, seconds]) => sum + Number(seconds), 0);
    },
    close: async () => {
      await lock.close();
      let cursor = "0";
      do {
        const [next, keys] = await client.scan(cursor, "MATCH", `${run}*`, "COUNT", 1000);
        if (keys.length > 0) await client.unlink(...keys);
        cursor = next;
      } while (cursor !== "0");
      for (const each of [client, ...blocked]) each.disconnect();
    },
  };
}
