import { expect, test } from "vitest";

import { scripts } from "../../packages/redis/src/scripts/script.ts";
import { ownRedis } from "./own-redis.ts";

// Rule R7: owners whose calls were given up are refused. The scripts run at times of our choosing.
const { admin } = await ownRedis();

const base = "leasehold:{marks}";
const startMs = 1_800_000_000_000;
const owner = (i: number): string => String(i).padStart(32, "0");

function at(ms: number, script: keyof typeof scripts, ...args: string[]): Promise<unknown> {
  const time = `{'${Math.floor(ms / 1000)}', '${(ms % 1000) * 1000}'}`;
  const text = scripts[script].text.replace("redis.call('TIME')", time);
  return admin.eval(text, 3, base, `${base}:line`, `${base}:expiry`, ...args);
}

const acquire = (ms: number, i: number, capacity = 1): Promise<unknown> =>
  at(ms, "acquire", owner(i), "1000", "3600000", `1000 1 ${capacity} inbox `, "100");
const depart = (ms: number, i: number, forMs: number): Promise<unknown> =>
  at(ms, "release", owner(i), String(forMs));
const fields = async (): Promise<string[]> => (await admin.hkeys(base)).toSorted();

test("a mark refuses its owner, and nobody else, for its time", async () => {
  await depart(startMs, 1, 5_000);
  expect(await acquire(startMs, 1)).toBe("r departed");
  expect(await acquire(startMs + 5_000, 1)).toBe("r departed");
  expect(String(await acquire(startMs + 5_000, 2))).toMatch(/^g /);
  expect(await depart(startMs + 5_000, 2, 0)).toBe(1);
  expect(String(await acquire(startMs + 5_001, 1))).toMatch(/^g /);
});

test("marks are taken away when their time is over, and the hash outlives them all", async () => {
  for (let i = 0; i < 100; i++) await depart(startMs, i, 5_000);
  await depart(startMs, 100, 9_000_000);
  expect(await admin.pttl(base)).toBeGreaterThan(9_000_000);
  expect(await fields()).toHaveLength(101 + 2);
  // Each step takes a few of them: it must not cost more, however many there are.
  for (let left = 100, step = 0; left > 0; left -= 16, step++) {
    expect(await fields()).toHaveLength(left + 1 + 2 + (step > 0 ? 1 : 0));
    expect(String(await acquire(startMs + 10_000 + step, 200 + step))).toMatch(/^g /);
    await depart(startMs + 10_000 + step, 200 + step, 0);
  }
  expect(await fields()).toEqual([`!${owner(100)}`, "last", "lastmark", "marks"]);
  expect(await acquire(startMs + 20_000, 100)).toBe("r departed");
  await acquire(startMs + 9_000_002, 300);
  expect(await fields()).toEqual(["info", "last", "solo"]);
});

test("an owner that departs again is marked for the longest of its times, in one mark", async () => {
  for (const [i, forMs] of [
    [1, 5_000],
    [2, 1_000],
    [1, 2_000],
    [1, 8_000],
    [3, 1_000],
  ] as const)
    await depart(startMs, i, forMs);
  expect(await fields()).toEqual([`!${owner(1)}`, `!${owner(2)}`, `!${owner(3)}`, "lastmark", "marks"]);
  expect(await acquire(startMs + 8_000, 1)).toBe("r departed");
  // The first of them goes, and those behind it with it.
  await acquire(startMs + 8_001, 9);
  expect(await fields()).toEqual(["info", "last", "solo"]);
});

test("marks outlive a line, a void line too", async () => {
  for (const i of [1, 2]) await acquire(startMs, i, 5);
  await depart(startMs, 3, 60_000);
  expect(await acquire(startMs, 3, 5)).toBe("r departed");
  await admin.del(`${base}:line`);
  expect(await at(startMs, "renew", owner(1), "1".padStart(16, "0"), "1000", "")).toEqual(["x"]);
  expect(await fields()).toEqual([`!${owner(3)}`, "last", "lastmark", "marks"]);
  expect(await acquire(startMs, 3, 5)).toBe("r departed");
  expect(await admin.pttl(base)).toBeGreaterThan(50_000);
});

test("sent with the hash alone, a script answers that it needs the line, having changed nothing", async () => {
  const alone = (script: keyof typeof scripts, ...args: string[]): Promise<unknown> =>
    admin.eval(scripts[script].text, 1, base, ...args);
  const join = (i: number, queue = "100"): Promise<unknown> =>
    alone("acquire", owner(i), "60000", "3600000", "60000 1 1 inbox ", queue);
  const granted = String(await join(1));
  expect(granted).toMatch(/^g /);
  expect(await join(1)).toBe(granted);
  expect(await join(2, "-")).toBe("r held");
  expect(await alone("renew", owner(1), granted.slice(2), "60000", "")).toEqual(["h"]);
  const before = await admin.hgetall(base);
  expect(await join(2)).toBe("n");
  expect(await admin.hgetall(base)).toEqual(before);
  await admin.eval(
    ...([scripts.acquire.text, 3, base, `${base}:line`, `${base}:expiry`] as const),
    ...[owner(2), "60000", "3600000", "60000 1 1 inbox ", "100"],
  );
  const line = await admin.hgetall(base);
  expect(await join(3)).toBe("l");
  expect(await join(3, "-")).toBe("l");
  expect(await alone("renew", owner(1), granted.slice(2), "60000", "")).toEqual(["l"]);
  expect(await alone("release", owner(1), "5000")).toBe("l");
  expect(await alone("evict", owner(1))).toBe("l");
  expect(await alone("propose", owner(1), granted.slice(2), "1", "v")).toBe("l");
  expect(await alone("inspect")).toBe("l");
  expect(await alone("look", "0", "")).toBe("l");
  expect(await admin.hgetall(base)).toEqual(line);
});
