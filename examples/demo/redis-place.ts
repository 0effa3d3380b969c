import { redisBackend, redisFencingGuard } from "@leasehold/redis";
import type { Redis } from "ioredis";
import type { Place } from "../shared/place.ts";
import { redisClient } from "../shared/redis-client.ts";
import type { Account } from "./account.ts";
import { accountName } from "./crew.ts";
import type { Connection } from "./place.ts";

/** The account's balance is a key, and each operation on it a script behind the guard: claim and access are one step. */
export function connectRedis({ url, run }: Place): Connection {
  return {
    backend: redisBackend(url, { prefix: run }),
    account: redisAccount(redisClient(url), run),
  };
}

/** Closes `client` with it. */
export function redisAccount(client: Redis, run: string): Account {
  const guard = redisFencingGuard(client, { prefix: run });
  const keys = [balanceKey(run)];
  const get = "return redis.call('GET', KEYS[1])";
  const set = "return redis.call('SET', KEYS[1], ARGV[1])";
  return {
    open: async (token) => Number(await guard.run(accountName, token, { script: get, keys })),
    write: async (token, balance) => {
      await guard.run(accountName, token, { script: set, keys, args: [String(balance)] });
    },
    read: async () => Number(await client.get(balanceKey(run))),
    [Symbol.asyncDispose]: async () => client.disconnect(),
  };
}

export function balanceKey(run: string): string {
  return `${run}:${accountName}:balance`;
}
