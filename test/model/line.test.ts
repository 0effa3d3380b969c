import type { Backend } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { SimClock } from "@leasehold/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { openBackend, type StoreSpec } from "../processes/store-spec.ts";
import { scripts, type Script, type Variety } from "./commands.ts";
import { LineModel } from "./line-model.ts";
import { runScript, type StoreUnderTest } from "./run-script.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const everything = 2 ** 31 - 1;

/** Semaphores with claims of all weights, and locks, which are semaphores of 1. */
const mixed: Pick<Variety, "capacity" | "weight"> = {
  capacity: fc.integer({ min: 1, max: 5 }),
  weight: (capacity) => fc.integer({ min: 1, max: capacity }),
};
/** Read-write locks. */
const readWrite: Pick<Variety, "capacity" | "weight"> = {
  capacity: fc.constant(everything),
  weight: () => fc.constantFrom(1, 1, everything),
};
const kinds = [
  ["weights, mixed", mixed],
  ["readers and writers", readWrite],
] as const;

describe("memory answers as the model does", () => {
  it.each(kinds)("%s, while time passes", async (_, kind) => {
    const ttlMs = fc.constantFrom(100, 300, 1_000);
    const variety: Variety = { ...kind, ttlMs, elapses: true, dies: true, maxCommands: 60 };
    await fc.assert(
      fc.asyncProperty(scripts(variety), async (script) => {
        const clock = new SimClock();
        const store = new MemoryStore({ clock });
        const backends = [memoryBackend({ store }), memoryBackend({ store })] as const;
        await runScript({ backends, shortTtlMs: 50, elapse: (ms) => clock.advance(ms) }, script);
      }),
      { numRuns: 1_000 },
    );
  });
});

/** Found by seed -2086246288, path 1: on etcd the second claim had the weight of the first. */
const rejoining: Script = {
  capacity: 3,
  maxWaiters: 4,
  commands: [
    { do: "die in line", slot: 0, weight: 3, follower: 6, followerWeight: 1 },
    { do: "acquire", slot: 0, weight: 1, queue: true, ttlMs: 60_000 },
    { do: "renew all", slot: 0 },
  ],
};

interface Subject {
  readonly specOf: () => StoreSpec;
  readonly shortTtlMs: number;
  /** How many scripts without a death, and how many with. */
  readonly runs: readonly [number, number];
}

const subjects: [string, Subject][] = [
  ["redis", { specOf: () => ({ kind: "redis", url: redisServer.url }), shortTtlMs: 150, runs: [60, 8] }],
  ["etcd", { specOf: () => ({ kind: "etcd", hosts: etcdServer.hosts }), shortTtlMs: 1_000, runs: [30, 2] }],
];

describe.each(subjects)("%s answers as the model does", (_, { specOf, shortTtlMs, runs }) => {
  it.each(kinds)("%s, while nobody dies", async (__, kind) => {
    await onStore(async (store) => {
      // So long that no time passes.
      const variety: Variety = {
        ...kind,
        ttlMs: fc.constant(60_000),
        elapses: false,
        dies: false,
        maxCommands: 40,
      };
      await fc.assert(
        fc.asyncProperty(scripts(variety), (script) => runScript(store, script)),
        { numRuns: runs[0] },
      );
    });
  });

  it("weights, mixed, with deaths in the line", async () => {
    await onStore(async (store) => {
      const variety: Variety = {
        ...mixed,
        ttlMs: fc.constant(60_000),
        elapses: false,
        dies: true,
        maxCommands: 25,
      };
      await fc.assert(
        fc.asyncProperty(scripts(variety), (script) => runScript(store, script)),
        // Shrinking would wait for as many deaths again: the script as it failed is small enough.
        { numRuns: runs[1], endOnFailure: true },
      );
    });
  });

  it("who joins again after a death has the weight of the new request", async () => {
    await onStore((store) => runScript(store, rejoining));
  });

  async function onStore(act: (store: StoreUnderTest) => Promise<void>): Promise<void> {
    const backends: readonly [Backend, Backend] = [await openBackend(specOf()), await openBackend(specOf())];
    try {
      await act({ backends, shortTtlMs });
    } finally {
      await Promise.all(backends.map((backend) => backend[Symbol.asyncDispose]()));
    }
  }
});

it("the model itself: nobody overtakes, the dead make room, the heavy block the light", () => {
  const line = new LineModel(3, 10);
  const join = (owner: string, ticket: bigint, weight: number): unknown =>
    line.join({ owner, ticket, weight, ttlMs: 100 * Number(ticket), value: "" });
  join("a", 1n, 2);
  join("b", 2n, 2);
  join("c", 3n, 1);
  const holders = (): string => line.holders.map(({ owner }) => owner).join();
  expect(holders()).toBe("a");
  expect(line.joining("d", 1, false)).toEqual({ kind: "refused", reason: "held" });
  line.nowMs = 100;
  expect(holders()).toBe("b,c");
  line.remove("b");
  expect(holders()).toBe("c");
  expect(line.joining("d", 2, false)).toEqual({ kind: "granted", ticket: null });
  expect(line.joining("d", 3, true)).toEqual({ kind: "queued", ticket: null });
});
