import { redisFencingGuard, type RedisFencingGuard } from "@leasehold/redis";
import { Redis } from "ioredis";

import type { GuardedResource } from "./contender.ts";

/**
 * A counter that lives in Redis, behind a fence in the same Redis: every step on it runs behind the
 * guard.
 */
export class RedisCounter implements GuardedResource {
  readonly #client: Redis;
  readonly #guard: RedisFencingGuard;
  readonly #name: string;

  constructor(url: string, name: string) {
    this.#client = new Redis(url);
    this.#guard = redisFencingGuard(this.#client);
    this.#name = name;
  }

  async claim(token: bigint): Promise<number> {
    return Number(await this.#run(token, "return redis.call('GET', KEYS[1]) or 0"));
  }

  async write(token: bigint, value: number): Promise<number> {
    const script = "redis.call('SET', KEYS[1], ARGV[1], 'EX', 60) return ARGV[1]";
    return Number(await this.#run(token, script, [String(value)]));
  }

  close(): void {
    this.#client.disconnect();
  }

  #run(token: bigint, script: string, args: readonly string[] = []): Promise<unknown> {
    return this.#guard.run(this.#name, token, { script, keys: [`counters:${this.#name}`], args });
  }
}
