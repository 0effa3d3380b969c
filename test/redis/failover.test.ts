import { createCoordinator } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { Redis } from "ioredis";
import { afterAll, expect, onTestFinished, test } from "vitest";

import { startRedis } from "../servers/index.ts";
import { startRedisSentinel } from "../servers/redis-sentinel.ts";
import { Endpoint } from "./endpoint.ts";
import { lockRequest, ticketOf } from "./requests.ts";

const timeoutMs = 2_000;
const ttlMs = 20_000;

const cleanUps: (() => Promise<unknown> | void)[] = [];
afterAll(async () => {
  for (const cleanUp of cleanUps.toReversed()) await cleanUp();
});

test("a primary that was demoted behind one address: it is left, and what is held lives on", async ({
  skip,
}) => {
  const old = await startRedis({ args: ["--repl-diskless-sync-delay", "0"] });
  if (!old.canSabotage || old.rung === "docker")
    return skip("two servers must reach each other on this host");
  const next = await startRedis({ args: ["--repl-diskless-sync-delay", "0"] });
  const [oldAdmin, nextAdmin] = [new Redis(old.url), new Redis(next.url)];
  cleanUps.push(
    () => old.stop(),
    () => next.stop(),
    () => oldAdmin.disconnect(),
    () => nextAdmin.disconnect(),
  );
  const replicates = (admin: Redis): Promise<boolean> =>
    admin.info("replication").then((info) => info.includes("master_link_status:up"));
  await nextAdmin.replicaof(old.address.host, old.address.port);
  await expect.poll(() => replicates(nextAdmin)).toBe(true);
  await using endpoint = await new Endpoint(old.address).listen();
  await using backend = redisBackend(endpoint.url);
  const request = lockRequest("demoted", { ttlMs });
  const ticket = ticketOf(await backend.leases.acquire(request));
  // What is held must have reached the replica: this is no test of lost writes.
  await expect.poll(() => nextAdmin.keys("*")).not.toEqual([]);

  await nextAdmin.replicaof("NO", "ONE");
  await oldAdmin.replicaof(next.address.host, next.address.port);
  endpoint.target = next.address;
  await expect
    .poll(() => backend.leases.renew([{ ...request, ticket }], { timeoutMs }))
    .toMatchObject([{ kind: "renewed", granted: true, ticket }]);
  expect(await backend.leases.acquire(lockRequest("granted by the new one"))).toMatchObject({
    kind: "granted",
  });
});

test("a primary that stays cut off from its replicas is not dialled without pause", async ({ skip }) => {
  const alone = await startRedis({ args: ["--min-replicas-to-write", "1"] });
  cleanUps.push(() => alone.stop());
  if (!alone.canSabotage) return skip("the Redis comes from the environment, and refuses nothing");
  await using endpoint = await new Endpoint(alone.address).listen();
  await using backend = redisBackend(endpoint.url);
  let refusals = 0;
  const untilMs = performance.now() + 2_000;
  while (performance.now() < untilMs)
    await backend.leases.acquire(lockRequest("cut off")).catch(() => (refusals += 1));
  expect(refusals).toBeGreaterThan(10);
  // At once, then after about 0.1, 0.2, 0.4, 0.8 and 1 s.
  expect(endpoint.accepted).toBeLessThan(12);
});

test("a master that is frozen: after the failover all is served by the new one", async ({ skip }) => {
  const group = await startRedisSentinel();
  if (group === undefined) return skip("Sentinel needs servers that are processes of this host");
  cleanUps.push(() => group.stop());
  const { sentinels, name } = group;
  const heard: string[] = [];
  const coordinator = createCoordinator({
    backend: redisBackend({ sentinels: [...sentinels], name }),
    ttlMs,
    onEvent: (event) => {
      if (event.type === "degraded" || event.type === "restored" || event.type === "lost")
        heard.push(`${event.type} ${event.reason}`);
    },
  });
  cleanUps.push(() => coordinator.close());
  const lease = await coordinator.lock("held").acquire();
  onTestFinished(() => group.master.resume());
  const replica = new Redis(group.replica.address.port);
  await expect.poll(() => replica.keys("*")).not.toEqual([]);
  replica.disconnect();
  await group.master.pause();
  const waiting = coordinator.lock("asked while it hangs").acquire({ waitMs: 60_000 });
  await group.failedOver();
  await (await waiting).release();
  expect(lease.isHeld()).toBe(true);
  expect(await lease.release()).toBe("released");
  // Without min-replicas-to-write, which is told, too.
  expect(heard.filter((event) => event.endsWith("unreachable"))).toEqual([
    "degraded unreachable",
    "restored unreachable",
  ]);
});
