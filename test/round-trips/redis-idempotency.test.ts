import { randomUUID } from "node:crypto";

import {
  createCoordinator,
  isLeaseholdError,
  type Coordinator,
  type ErrorCode,
  type IdempotencyOptions,
} from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";

import { beginRequest, begunBy, finishOf } from "../redis/requests.ts";
import { startRedis, type RedisServer } from "../servers/index.ts";
import { CommandMonitor } from "./command-monitor.ts";

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

/** Long enough that nothing is extended while commands are counted. */
const calm: IdempotencyOptions = { leaseMs: 300_000 };
const patient: IdempotencyOptions = { ...calm, conflict: "wait", waitMs: 60_000 };

/** Another process: it has connected, and the server knows the scripts. */
async function warmed(): Promise<Coordinator> {
  const coordinator = createCoordinator({ backend: redisBackend(server.url) });
  onTestFinished(() => coordinator.close());
  await coordinator.idempotency("warm up").run(randomUUID(), {}, () => 0);
  await monitor.since();
  return coordinator;
}

const never = (): never => expect.fail("executed twice");

/** Fails unless the call is refused with this code. */
async function refused(code: ErrorCode, call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(isLeaseholdError(error, code), String(error)).toBe(true);
}

test("a first call is two commands; replay, duplicate and mismatch are one each", async () => {
  const coordinators = [await warmed(), await warmed()] as const;
  const [charges] = coordinators.map((coordinator) => coordinator.idempotency("charges", calm));
  const key = randomUUID();

  await charges!.run(key, { fingerprint: 1 }, async () => {
    expect(await monitor.counts(), "before the handler").toEqual({ evalsha: 1 });
    for (const coordinator of coordinators) {
      const again = coordinator.idempotency("charges", calm);
      await refused("IDEMPOTENCY_IN_PROGRESS", again.run(key, { fingerprint: 1 }, never));
      expect(await monitor.counts(), "duplicate").toEqual({ evalsha: 1 });
    }
    await refused("IDEMPOTENCY_MISMATCH", charges!.run(key, { fingerprint: 2 }, never));
    expect(await monitor.counts(), "mismatch while it executes").toEqual({ evalsha: 1 });
  });
  expect(await monitor.counts(), "after the handler").toEqual({ evalsha: 1 });

  expect((await charges!.run(key, { fingerprint: 1 }, never)).replayed).toBe(true);
  expect(await monitor.counts(), "replay").toEqual({ evalsha: 1 });
  await refused("IDEMPOTENCY_MISMATCH", charges!.run(key, { fingerprint: 2 }, never));
  expect(await monitor.counts(), "mismatch").toEqual({ evalsha: 1 });
});

test("extending, taking over and being fenced are one command each", async () => {
  await using backend = redisBackend(server.url);
  const { idempotency } = backend;
  const request = beginRequest(randomUUID(), { leaseMs: 100 });
  const dead = begunBy(request, await idempotency.begin(request));
  await idempotency.extend(dead);
  const asked = beginRequest(request.record, { takeOver: false });
  await expect.poll(async () => (await idempotency.begin(asked)).kind).toBe("expired");
  await monitor.since();

  const next = beginRequest(request.record);
  const run = begunBy(next, await idempotency.begin(next));
  expect(await monitor.counts(), "takeover").toEqual({ evalsha: 1 });
  expect((await idempotency.extend(run)).kind).toBe("extended");
  expect(await monitor.counts(), "extending").toEqual({ evalsha: 1 });
  await idempotency.finish(finishOf(dead));
  expect(await monitor.counts(), "a late end").toEqual({ evalsha: 1 });
});

/**
 * One process executes, two others have 100 callers each who wait for it. Commands are counted from
 * when all is quiet.
 */
async function crowd(): Promise<{
  end: (result: string | Error) => void;
  first: Promise<unknown>;
  waits: Promise<{ value: string; attempt: number }>[];
  executions: () => number;
}> {
  // One after the other, since each clears the counts.
  const processes = [await warmed(), await warmed(), await warmed()];
  const scopes = processes.map((process) =>
    process.idempotency("charges", { ...patient, classifyError: () => "released" }),
  );
  const key = randomUUID();
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<string>();
  const first = scopes[0]!.run(key, {}, () => {
    begun.resolve();
    return gate.promise;
  });
  first.catch(() => {});
  await begun.promise;

  let executions = 0;
  const wait = (scope: number): Promise<{ value: string; attempt: number }> =>
    scopes[scope]!.run(key, {}, () => `executed ${(executions += 1)}`);
  await monitor.since();
  const waits = [wait(1), wait(2)];
  const seen: string[] = [];
  let quietLooks = 0;
  const look = async (): Promise<boolean> => {
    const commands = await monitor.since();
    seen.push(...commands.map(({ name }) => name));
    quietLooks = commands.length === 0 ? quietLooks + 1 : 0;
    return seen.includes("evalsha") && quietLooks > 4;
  };
  await expect.poll(look, { interval: 50 }).toBe(true);
  expect(
    seen.filter((name) => name === "subscribe"),
    "one for each process",
  ).toHaveLength(2);
  for (let i = 0; i < 198; i += 1) waits.push(wait(1 + (i % 2)));
  expect(await monitor.counts(), "198 more who wait").toEqual({});
  const end = (result: string | Error): void =>
    typeof result === "string" ? gate.resolve(result) : gate.reject(result);
  return { end, first, waits, executions: () => executions };
}

test("100 waiters in each of two processes: the end costs each process one question", async () => {
  const { end, waits, executions } = await crowd();
  end("charged");
  for (const { value, attempt } of await Promise.all(waits)) expect([value, attempt]).toEqual(["charged", 1]);
  expect((await monitor.counts())["evalsha"], "the end, and one question of each process").toBe(3);
  expect(executions()).toBe(0);
});

test("100 waiters in each of two processes: released, it is executed by one, at two questions of each process at most", async () => {
  const { end, first, waits, executions } = await crowd();
  end(new Error("nothing happened"));
  await expect(first).rejects.toThrow("nothing happened");
  for (const { value, attempt } of await Promise.all(waits))
    expect([value, attempt]).toEqual(["executed 1", 2]);
  // A process that asks when the second execution has ended already needs one question only.
  const { evalsha } = await monitor.counts();
  expect([5, 6], "two ends, and one or two questions of each process").toContain(evalsha);
  expect(executions()).toBe(1);
});
