import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";

import { scripts } from "../../packages/redis/src/scripts/script.ts";
import { startRedis, type RedisServer } from "../servers/index.ts";

// The server's clock is set by running the scripts with another one: in the place where they ask
// for the time.
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
  await client.del(base, ...keys);
});

const base = "leasehold:{clock-steps}";
const keys = [`${base}:line`, `${base}:expiry`] as const;
const startMs = 1_800_000_000_000;

async function at(
  ms: number,
  script: keyof typeof scripts,
  owner: string,
  args: readonly string[],
): Promise<unknown> {
  const time = `{'${Math.floor(ms / 1000)}', '${(ms % 1000) * 1000}'}`;
  const text = scripts[script].text.replace("redis.call('TIME')", time);
  expect(text).not.toContain("'TIME'");
  const all = [base, ...keys];
  return client.eval(text, all.length, ...all, owner, ...args);
}

const acquire = (ms: number, owner: string, ttlMs = 1_000): Promise<unknown> =>
  at(ms, "acquire", owner, [String(ttlMs), "3600000", `${ttlMs} 1 1 inbox `, "100"]);
const acquireNow = (ms: number, owner: string, ttlMs = 1_000): Promise<unknown> =>
  at(ms, "acquire", owner, [String(ttlMs), "3600000", `${ttlMs} 1 1 inbox `, "-"]);
const renew = (ms: number, owner: string, ticket: string, ttlMs = 1_000): Promise<unknown> =>
  at(ms, "renew", owner, [ticket.padStart(16, "0"), String(ttlMs), ""]);

const digits = (ms: number): string => `${ms}000`;

test("a claim lives its whole ttl, and dies within a millisecond after it", async () => {
  expect(await acquire(startMs, "a")).toBe(`g ${digits(startMs)}`);
  expect(await acquireNow(startMs + 1_000, "b")).toBe("r held");
  expect(await acquireNow(startMs + 1_001, "b")).toBe(`g ${digits(startMs + 1_001)}`);
});

test("set back, an uncontended claim dies a ttl after the next step, not when the clock has caught up", async () => {
  await acquire(startMs, "a");
  const back = startMs - 120_000;
  expect(await acquireNow(back, "b")).toBe("r held");
  expect(await acquireNow(back + 1_000, "b")).toBe("r held");
  // Tickets grow all the same.
  expect(await acquireNow(back + 1_001, "b")).toBe(`g ${BigInt(digits(startMs)) + 1n}`);
});

test("set back, a line's claims die a ttl after the next step, each by its own ttl, and those behind move up", async () => {
  await acquire(startMs, "a", 1_000);
  await acquire(startMs, "b", 90_000);
  await acquire(startMs + 10, "c", 1_000);
  const back = startMs - 120_000;
  // Whatever the step is, it sets all of them right: this one is refused.
  expect(await acquireNow(back, "d", 1_000)).toBe("r held");
  const ticket = digits(startMs).replace(/.$/, "1");
  expect(await renew(back + 1_001, "b", ticket, 90_000)).toEqual(["h"]);
  expect(await client.zrange(keys[0], "0", "-1")).toEqual(["b"]);
  expect(await client.zscore(keys[1], "b")).toBe(String(back + 1_001 + 90_001));
});

test.each([
  ["alone", 0],
  ["in a line", 90_000],
])(
  "set back, an evicted claim %s dies a ttl after the next step, whatever goes on asking",
  async (_, otherMs) => {
    const ticket = String(await acquire(startMs, "a")).slice(2);
    if (otherMs > 0) await acquire(startMs, "b", otherMs);
    const back = startMs - 120_000;
    expect(await at(startMs, "evict", "a", [])).toBe(1);
    for (const ms of [0, 500, 1_000]) {
      expect(await renew(back + ms, "a", ticket)).toEqual(["v"]);
      expect(await acquire(back + ms, "a")).toBe(`g ${ticket} !`);
    }
    expect(await renew(back + 1_001, "a", ticket)).toEqual(["x"]);
  },
);

test("set forward, claims die early, which is a loss and never a double hold", async () => {
  const ticket = String(await acquire(startMs, "a")).slice(2);
  expect(await acquireNow(startMs + 3_600_000, "b")).toBe(`g ${digits(startMs + 3_600_000)}`);
  expect(await renew(startMs + 3_600_000, "a", ticket)).toEqual(["x"]);
});
