import { redisBackend, redisFencingGuard } from "@leasehold/redis";
import { Redis } from "ioredis";
import type { Account } from "./account.ts";
import { accountName } from "./crew.ts";
import type { Connection, Place } from "./place.ts";

/** The account's balance is a key, and each operation on it a script behind the guard: claim and access are one step. */
export function connectRedis({ url, run }: Place): Connection {
  return {
    backend: redisBackend(url, { prefix: run }),
    account: redisAccount(redisClient(url), run),
  };
}

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
