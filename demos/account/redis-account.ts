import { redisFencingGuard } from "@leasehold/redis";
import { redisClient } from "../shared/redis-store.ts";
import type { ServerAddress } from "../shared/store.ts";
import { accountName, type Account } from "./account.ts";

/**
 * The balance is a key, and each operation on it a script behind the guard: claim and access are
 * one step.
 */
export function redisAccount({ url, run }: ServerAddress): Account {
  const client = redisClient(url);
  const guard = redisFencingGuard(client, { prefix: run });
  const key = `${run}:${accountName}:balance`;
  const get = { script: "return redis.call('GET', KEYS[1])", keys: [key] };
  const set = { script: "return redis.call('SET', KEYS[1], ARGV[1])", keys: [key] };
  return {
    open: async (token) => Number(await guard.run(accountName, token, get)),
    write: async (token, balance) => {
      await guard.run(accountName, token, { ...set, args: [String(balance)] });
    },
    read: async () => Number(await client.get(key)),
    create: async (balance) => void (await client.set(key, balance)),
    [Symbol.asyncDispose]: async () => client.disconnect(),
  };
}
