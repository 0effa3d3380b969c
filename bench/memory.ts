import { createCoordinator, type Coordinator } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { Redis } from "ioredis";

/** How many of each are made: enough that a table of keys which grows meanwhile weighs little. */
const count = 16_000;
const atOnce = 500;

interface Kind {
  readonly what: string;
  readonly make: (coordinator: Coordinator, index: number) => Promise<unknown>;
}

/** A name as services have it: some 20 characters. */
const nameOf = (kind: string, index: number): string => `${kind}:${100_000 + index}`;

const kinds: readonly Kind[] = [
  {
    what: "a name that was locked, and is idle",
    make: (coordinator, index) => coordinator.lock(nameOf("order", index)).run(() => 1),
  },
  {
    what: "a lock that is held",
    make: (coordinator, index) => coordinator.lock(nameOf("held", index)).acquire({ ttlMs: 600_000 }),
  },
  {
    what: "an idempotency key with a result of 500 bytes",
    make: (coordinator, index) => {
      const charges = coordinator.idempotency("charges");
      return charges.run(nameOf("call", index), {}, () => "x".repeat(500));
    },
  },
];

/**
 * What Redis keeps in memory for one of each, by `used_memory`: the key, its value, its entry in
 * the tables, and what the allocator rounds up. The figures in docs/operations.md are these.
 */
export async function benchMemory(url: string): Promise<void> {
  const admin = new Redis(url);
  const usedBytes = async (): Promise<number> =>
    Number(/used_memory:(\d+)/.exec(await admin.info("memory"))?.[1]);
  const coordinator = createCoordinator({ backend: redisBackend(url), ttlMs: 600_000 });
  try {
    const server = await admin.info("server");
    // Valkey tells the version of Redis that it is compatible with, too.
    const [, name, version] =
      /(valkey)_version:(\S+)/.exec(server) ?? /(redis)_version:(\S+)/.exec(server) ?? [];
    console.log(`${name} ${version}; mean of ${count}, by used_memory\n`);
    for (const { what, make } of kinds) {
      // The first ones pay for the scripts.
      for (let index = -3; index < 0; index += 1) await make(coordinator, index);
      const before = await usedBytes();
      for (let from = 0; from < count; from += atOnce)
        await Promise.all(Array.from({ length: atOnce }, (_, at) => make(coordinator, from + at)));
      const bytes = ((await usedBytes()) - before) / count;
      console.log(`${what.padEnd(50)} ${bytes.toFixed(0)} bytes`);
    }
  } finally {
    await coordinator.close();
    admin.disconnect();
  }
}
