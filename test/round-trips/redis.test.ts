import { randomUUID } from "node:crypto";

import { createCoordinator, type Coordinator, type CoordinatorOptions } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { checkTokenOrder } from "@leasehold/testing";
import { Cluster } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";

import { startRedis, type RedisServer } from "../servers/index.ts";
import { CommandMonitor } from "./command-monitor.ts";
import { Ear, lineUp, passAlong } from "./line-up.ts";
import { redisClusterForThisFile } from "../servers/for-this-file.ts";

const cluster = await redisClusterForThisFile();

// A server of its own: nobody else's commands are counted. One from the environment may have other
// clients.
let server: RedisServer;
let monitor: CommandMonitor;
beforeAll(async () => {
  server = await startRedis();
  monitor = await CommandMonitor.watch(server.url);
});
afterAll(async () => {
  await monitor[Symbol.asyncDispose]();
  await server.stop();
});
beforeEach(({ skip }) => {
  if (!server.canSabotage) skip("the Redis comes from the environment, and others may use it");
});

/** Long enough that a machine which stalls does not tear a batch of renewals apart. */
const patientTtlMs = 9_000;
/** Long enough that no renewal falls into a count. */
const calmTtlMs = 300_000;

function coordinatorOn(
  url: string,
  options: Partial<CoordinatorOptions> = {},
): { coordinator: Coordinator; ear: Ear } {
  const ear = new Ear();
  const coordinator = createCoordinator({
    backend: redisBackend(url),
    ttlMs: calmTtlMs,
    waitMs: 60_000,
    onEvent: ear.hear,
    ...options,
  });
  onTestFinished(() => coordinator.close());
  return { coordinator, ear };
}

/**
 * Has connected and subscribed, and the server knows the scripts: all that only the first call of a
 * process costs.
 */
async function warmed(options?: Partial<CoordinatorOptions>): Promise<ReturnType<typeof coordinatorOn>> {
  const made = coordinatorOn(server.url, options);
  const lease = await made.coordinator.lock("warm up").acquire();
  const [wait] = await lineUp(made.coordinator, made.ear, "warm up", 1);
  await lease.release();
  await (await wait)?.release();
  await made.coordinator.inspect("warm up");
  await monitor.since();
  return made;
}

test("acquire, try-acquire and release are one command each, as the server's own statistics say too", async () => {
  const { coordinator } = await warmed();
  const lock = coordinator.lock("order:42");
  const callsBefore = await monitor.scriptCalls();

  const lease = await lock.acquire();
  expect(await monitor.counts(), "acquire of a free lock").toEqual({ evalsha: 1 });
  expect(await lock.tryAcquire()).toBe(null);
  expect(await monitor.counts(), "try-acquire of a held lock").toEqual({ evalsha: 1 });
  await lease.release();
  expect(await monitor.counts(), "release").toEqual({ evalsha: 1 });
  const tried = await lock.tryAcquire();
  expect(tried?.isHeld()).toBe(true);
  expect(await monitor.counts(), "try-acquire of a free lock").toEqual({ evalsha: 1 });
  await tried?.release();
  await tried?.release();
  expect(await monitor.counts(), "releasing again").toEqual({ evalsha: 1 });
  await coordinator.inspect("order:42");
  expect(await monitor.counts(), "inspect").toEqual({ evalsha: 1 });
  expect((await monitor.scriptCalls()) - callsBefore).toBe(6);
});

test("joining the line is one command, and a hand-over costs the waiter none", async () => {
  const { coordinator, ear } = await warmed();
  const other = await warmed();
  const holder = await other.coordinator.lock("shared").acquire();
  await monitor.since();

  const [wait] = await lineUp(coordinator, ear, "shared", 1);
  expect(await monitor.counts(), "joining").toEqual({ evalsha: 1 });
  await holder.release();
  const lease = await wait;
  expect(lease?.isHeld()).toBe(true);
  expect(await monitor.counts(), "the release, and nothing by the waiter").toEqual({ evalsha: 1 });
  await lease?.release();
});

test("a value, an eviction and an announced step are one command each, and those who watch share a subscription", async () => {
  const { coordinator } = await warmed();
  const backend = redisBackend(server.url);
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  const leadership = await coordinator.election("leader", { candidate: "a" }).campaign();
  await leadership.proclaim("first");
  await monitor.since();
  await leadership.proclaim("second");
  expect(await monitor.counts(), "proclaim").toEqual({ evalsha: 1 });

  await backend.leases.inspect("connect", { timeoutMs: 2_000 });
  await monitor.since();
  let heard = 0;
  for (let i = 0; i < 3; i++) backend.leases.watch("default:election:leader", () => void (heard += 1));
  await expect.poll(() => heard).toBe(3);
  expect((await monitor.counts())["subscribe"], "three watchers").toBe(1);

  await leadership.proclaim("third");
  await expect.poll(() => heard).toBe(6);
  expect(await monitor.counts(), "proclaim, and nothing by those who hear it").toEqual({ evalsha: 1 });
  const resource = { name: "default:election:leader", announce: true };
  const { owner } = leadership;
  await backend.leases.evict({ resource, owner, timeoutMs: 2_000 });
  await monitor.since();
  await backend.leases.evict({ resource, owner, timeoutMs: 2_000 });
  expect(await monitor.counts(), "evict").toEqual({ evalsha: 1 });
});

test("the first wait of a process subscribes, once", async () => {
  const { coordinator: first } = await warmed();
  const holder = await first.lock("shared").acquire();
  const { coordinator, ear } = coordinatorOn(server.url);
  await (await coordinator.lock("connect").tryAcquire())?.release();
  await monitor.since();
  const waits = await lineUp(coordinator, ear, "shared", 3);
  const { evalsha, subscribe } = await monitor.counts();
  expect({ evalsha, subscribe }).toEqual({ evalsha: 3, subscribe: 1 });
  await holder.release();
  expect((await passAlong(waits)).order).toEqual([0, 1, 2]);
});

test("1,000 waiters: a release is one command, and the line moves in order, at one command each", async () => {
  const { coordinator, ear } = await warmed();
  const holder = await coordinator.lock("crowd").acquire();
  await monitor.since();
  const waits = await lineUp(coordinator, ear, "crowd", 1_000);
  expect(await monitor.counts(), "joining").toEqual({ evalsha: 1_000 });

  await holder.release();
  const first = await waits[0];
  expect(await monitor.counts(), "one release in front of 1,000 waiters").toEqual({ evalsha: 1 });
  expect(first?.isHeld()).toBe(true);

  const { order, tokens } = await passAlong(waits);
  expect(order).toEqual(waits.map((_, index) => index));
  expect(checkTokenOrder(tokens)).toEqual([]);
  expect(await monitor.counts(), "1,000 releases, 999 hand-overs").toEqual({ evalsha: 1_000 });
});

test("renewing 250 claims is 3 commands a period", async () => {
  const { coordinator, ear } = await warmed({ ttlMs: patientTtlMs });
  const leases = await Promise.all(
    Array.from({ length: 250 }, (_, index) => coordinator.lock(`n${index}`).acquire()),
  );
  // The first period gathers claims of different ages into one batch; the next two are counted.
  await ear.heard("renewed", 250);
  await monitor.since();
  await ear.heard("renewed", 500);
  expect(await monitor.counts(), "ceil(250 / 100)").toEqual({ evalsha: 3 });
  await ear.heard("renewed", 750);
  expect(await monitor.counts()).toEqual({ evalsha: 3 });
  expect(leases.every((lease) => lease.isHeld())).toBe(true);
});

test("in a Cluster renewing is one command for each name", async () => {
  const names = 12;
  const namespace = randomUUID();
  const monitors = await Promise.all(
    cluster.urls.map((url) =>
      CommandMonitor.watch(url, ({ args }) => args.some((argument) => argument.includes(namespace))),
    ),
  );
  onTestFinished(async () => {
    await Promise.all(monitors.map((each) => each[Symbol.asyncDispose]()));
  });
  const client = new Cluster([...cluster.urls]);
  onTestFinished(() => client.disconnect());
  const ear = new Ear();
  await using coordinator = createCoordinator({
    backend: redisBackend(client),
    namespace,
    ttlMs: patientTtlMs,
    onEvent: ear.hear,
  });
  await Promise.all(Array.from({ length: names }, (_, index) => coordinator.lock(`n${index}`).acquire()));
  const total = async (): Promise<Record<string, number>> => {
    const counts = (await Promise.all(monitors.map((each) => each.since()))).flat();
    return Object.fromEntries(
      Object.entries(Object.groupBy(counts, ({ name }) => name)).map(([name, all]) => [
        name,
        all?.length ?? 0,
      ]),
    );
  };
  // The first round teaches each master the script, by EVAL.
  await ear.heard("renewed", names);
  await total();
  await ear.heard("renewed", 2 * names);
  expect(await total()).toEqual({ evalsha: names });
});
