import { createCoordinator, type LeaseholdEvent } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { Cluster, Redis, type ClusterOptions } from "ioredis";
import { afterAll, beforeEach, expect, onTestFinished, test } from "vitest";

import { redisClusterForThisFile } from "../servers/for-this-file.ts";

const cluster = await redisClusterForThisFile();
beforeEach(({ skip }) => {
  if (!cluster.canSabotage)
    skip("the Cluster comes from the environment, and its slots are not ours to move");
});

const nodes = cluster.members.map(({ address }) => new Redis(address.port, address.host));
afterAll(() => nodes.forEach((node) => node.disconnect()));

const ttlMs = 1_500;

interface Migration {
  readonly slot: number;
  /** Moves all keys that the slot has by now, in one piece or one by one. */
  moveKeys(options: { atOnce: boolean }): Promise<void>;
  finish(): Promise<void>;
  /** As an operator does who gives it up. */
  giveUp(): Promise<void>;
}

/** Opens the slot of the lock of that name, to move it from its node to another. */
async function openSlotOf(name: string): Promise<Migration> {
  const slot = await nodes[0]!.cluster("KEYSLOT", `leasehold:{default:lock:${name}}`);
  const ranges = await nodes[0]!.cluster("SLOTS");
  const [, fromPort, fromId] = ranges.find(([from, to]) => from <= slot && slot <= to)![2]!;
  const source = nodes.find(({ options }) => options.port === fromPort)!;
  const target = nodes.find(({ options }) => options.port !== fromPort)!;
  const targetId = String(await target.cluster("MYID"));
  await target.cluster("SETSLOT", slot, "IMPORTING", fromId);
  await source.cluster("SETSLOT", slot, "MIGRATING", targetId);
  const migrate = async (keys: readonly string[]): Promise<void> => {
    const { host, port } = target.options;
    await source.call("MIGRATE", host!, port!, "", 0, 5_000, "KEYS", ...keys);
  };
  return {
    slot,
    moveKeys: async ({ atOnce }) => {
      const keys = (await source.cluster("GETKEYSINSLOT", slot, 1_000)) as string[];
      if (keys.length === 0) return;
      if (atOnce) return migrate(keys);
      for (const key of keys) await migrate([key]);
    },
    finish: async () => {
      for (const node of [target, source, ...nodes]) await node.cluster("SETSLOT", slot, "NODE", targetId);
    },
    giveUp: async () => {
      for (const node of [target, source]) await node.cluster("SETSLOT", slot, "STABLE");
    },
  };
}

function open(options: ClusterOptions = {}): {
  coordinator: ReturnType<typeof createCoordinator>;
  events: LeaseholdEvent[];
} {
  const client = new Cluster([...cluster.urls], options);
  client.on("error", () => {});
  const events: LeaseholdEvent[] = [];
  const coordinator = createCoordinator({
    backend: redisBackend(client),
    ttlMs,
    onEvent: (event) => events.push(event),
  });
  onTestFinished(async () => {
    await coordinator.close();
    client.disconnect();
  });
  return { coordinator, events };
}

/** A name other than `name` in the same slot. */
async function neighbourOf(name: string, slot: number): Promise<string> {
  for (let i = 0; ; i++)
    if ((await nodes[0]!.cluster("KEYSLOT", `leasehold:{default:lock:${name}${i}}`)) === slot)
      return name + i;
}

test("while a slot stands open nothing uncontended is refused, and a holder stays one, whoever else asks", async () => {
  const [a, b] = [open(), open()];
  const held = await a.coordinator.lock("pay").acquire();
  const migration = await openSlotOf("pay");
  onTestFinished(() => migration.giveUp());
  const name = await neighbourOf("pay", migration.slot);
  const waiting = b.coordinator.lock("pay").acquire({ waitMs: ttlMs / 2 });
  await expect(waiting).rejects.toMatchObject({ "@leasehold/error": true });
  expect(await b.coordinator.lock("pay").tryAcquire()).toBe(null);
  const renewed = (): number => a.events.filter(({ type }) => type === "renewed").length;
  const before = renewed();
  for (let round = 0; renewed() < before + 6; round++) {
    const lease = await b.coordinator.lock(name).acquire();
    expect(lease.isHeld()).toBe(true);
    expect(await lease.release()).toBe("released");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(held.isHeld()).toBe(true);
  expect(a.events.filter(({ type }) => type === "lost")).toEqual([]);
  expect(await held.release()).toBe("released");
  const again = await b.coordinator.lock("pay").acquire();
  expect(again.fencingToken).toBeGreaterThan(held.fencingToken);
  await again.release();
});

test("a new line in a slot that stands open: with the option that the docs name operators are told why", async () => {
  const [a, b] = [open(), open({ retryDelayOnTryAgain: 10 })];
  const held = await a.coordinator.lock("told").acquire();
  const migration = await openSlotOf("told");
  onTestFinished(() => migration.giveUp());
  // By which code is chance: the last request may be given up amid what ioredis repeats.
  await expect(b.coordinator.lock("told").acquire({ waitMs: 2 * ttlMs })).rejects.toMatchObject({
    "@leasehold/error": true,
  });
  expect(b.events).toContainEqual(
    expect.objectContaining({
      ...{ type: "degraded", reason: "refusing" },
      message: expect.stringContaining("is moving this slot"),
    }),
  );
  expect(held.isHeld()).toBe(true);
  await migration.giveUp();
  const waiting = b.coordinator.lock("told").acquire({ waitMs: 20_000 });
  await expect.poll(() => b.events.some(({ type }) => type === "queued")).toBe(true);
  await held.release();
  await (await waiting).release();
});

test("a line survives that its slot is moved: all are served, in order, and tokens grow", async () => {
  const { coordinator, events } = open();
  const lock = coordinator.lock("line");
  const first = await lock.acquire({ ttlMs: 20_000 });
  const order: number[] = [];
  const tokens: bigint[] = [first.fencingToken];
  const queued = (): number => events.filter(({ type }) => type === "queued").length;
  const waits: Promise<void>[] = [];
  for (let i = 0; i < 12; i++) {
    const wait = lock.acquire({ ttlMs: 20_000, waitMs: 60_000 }).then(async (lease) => {
      order.push(i);
      tokens.push(lease.fencingToken);
      await new Promise((resolve) => setTimeout(resolve, 30));
      await lease.release();
    });
    waits.push(wait);
    await expect.poll(queued).toBe(i + 1);
  }
  const migration = await openSlotOf("line");
  const releasing = first.release();
  await migration.moveKeys({ atOnce: false });
  await migration.finish();
  await releasing;
  await Promise.all(waits);
  expect(order).toEqual(waits.map((_, i) => i));
  expect(tokens).toEqual(tokens.toSorted((x, y) => (x < y ? -1 : 1)));
  expect(events.filter(({ type }) => type === "lost")).toEqual([]);
});
