import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { scripts } from "../../packages/redis/src/scripts/script.ts";
import { startRedis, type RedisServer } from "../servers/index.ts";

// As in clock-steps.test.ts: the server's clock is set in the place where the scripts ask for the
// time.
let server: RedisServer;
let client: Redis;
beforeAll(async () => {
  server = await startRedis();
  client = new Redis(server.url);
});
afterAll(async () => {
  client.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await client.del(key);
});

const key = "leasehold:{clock-steps}:idem";
const startMs = 1_800_000_000_000;

async function at(ms: number, script: "begin" | "extend", args: readonly string[]): Promise<unknown> {
  const time = `{'${Math.floor(ms / 1000)}', '${(ms % 1000) * 1000}'}`;
  const text = scripts[script].text.replace("redis.call('TIME')", time);
  expect(text).not.toContain("'TIME'");
  return client.eval(text, 1, key, ...args);
}

const begin = (ms: number, owner: string, leaseMs = 1_000): Promise<unknown> =>
  at(ms, "begin", [owner, "fingerprint", String(leaseMs), "3600000", "1", "0", "channel"]);
const ask = (ms: number, owner: string): Promise<unknown> =>
  at(ms, "begin", [owner, "fingerprint", "1000", "3600000", "0", "0", "channel"]);
const extend = (ms: number, owner: string, token: string, leaseMs = 1_000): Promise<unknown> =>
  at(ms, "extend", [owner, token, String(leaseMs), "3600000"]);

const digits = (ms: number): string => `${ms}000`;

test("a lease lasts its whole time, and ends within a millisecond after it", async () => {
  expect(await begin(startMs, "a")).toBe(`b ${digits(startMs)} 1`);
  expect(await begin(startMs, "b")).toBe("i 1000");
  expect(await begin(startMs + 1_000, "b")).toBe("i 1");
  expect(await ask(startMs + 1_001, "b")).toBe("x 1");
  expect(await begin(startMs + 1_001, "b")).toBe(`b ${digits(startMs + 1_001)} 2`);
});

test("set back, a lease ends a lease after the next who asks, not when the clock has caught up; tokens grow", async () => {
  await begin(startMs, "a");
  const back = startMs - 120_000;
  expect(await begin(back, "b")).toBe("i 1000");
  // Whoever asks does not make it longer.
  expect(await ask(back + 500, "c")).toBe("i 501");
  expect(await begin(back + 1_000, "b")).toBe("i 1");
  expect(await begin(back + 1_001, "b")).toBe(`b ${BigInt(digits(startMs)) + 1n} 2`);
  expect(await begin(back + 1_002, "b")).toBe(`b ${BigInt(digits(startMs)) + 1n} 2`);
});

test("set back, an execution that goes on being extended keeps its lease, from the clock as it is now", async () => {
  await begin(startMs, "a", 90_000);
  const back = startMs - 120_000;
  expect(await extend(back, "a", digits(startMs), 2_000)).toBe("extended");
  expect(await begin(back, "b")).toBe("i 2000");
  expect(await begin(back + 100, "a", 3_000)).toBe(`b ${digits(startMs)} 1`);
  expect(await begin(back + 101, "b")).toBe("i 3000");
  expect(await begin(back + 3_101, "b")).toBe(`b ${BigInt(digits(startMs)) + 1n} 2`);
  expect(await extend(back + 3_102, "a", digits(startMs))).toBe("fenced");
});

test("set forward, a lease ends early, which is a takeover by token, and fences the first", async () => {
  await begin(startMs, "a");
  expect(await begin(startMs + 3_600_000, "b")).toBe(`b ${digits(startMs + 3_600_000)} 2`);
  expect(await extend(startMs + 3_600_000, "a", digits(startMs))).toBe("fenced");
});

test("two executions of one microsecond have two tokens, and no digit of them is lost", async () => {
  const tokens: unknown[] = [];
  for (const owner of ["a", "b", "c"]) {
    const token = String(await begin(startMs, owner)).split(" ")[1];
    tokens.push(token);
    const { text } = scripts.finish;
    expect(await client.eval(text, 1, key, owner, token!, "r", "3600000", "channel")).toBe("done");
  }
  expect(tokens).toEqual([0n, 1n, 2n].map((more) => String(BigInt(digits(startMs)) + more)));
});
