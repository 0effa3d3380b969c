import { redisBackend } from "@leasehold/redis";
import type { BeginRequest, Begun } from "@leasehold/core";
import { startFaultProxy } from "@leasehold/testing";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";

import { ownRedis } from "./own-redis.ts";
import { beginRequest, begunBy, finishOf } from "./requests.ts";

type RedisBackend = ReturnType<typeof redisBackend>;

const { server, admin } = await ownRedis();

const keyOf = (record: string): string => `leasehold:{${record}}:idem`;

function open(source = server.url): RedisBackend {
  const backend = redisBackend(source);
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  return backend;
}

async function begin(backend: RedisBackend, request: BeginRequest): Promise<BeginRequest & Begun> {
  return begunBy(request, await backend.idempotency.begin(request));
}

/** Until nobody's lease of this record runs any more. */
async function leaseEnded({ idempotency }: RedisBackend, record: string): Promise<void> {
  const asked = beginRequest(record, { takeOver: false });
  await expect.poll(async () => (await idempotency.begin(asked)).kind).toBe("expired");
}

describe("tokens", () => {
  test("grow over takeover, release, the loss of the record, SCRIPT FLUSH and FLUSHALL", async () => {
    const backend = open();
    const tokens: bigint[] = [];
    for (const damage of ["none", "takeover", "SCRIPT", "DEL", "FLUSHALL", "none"]) {
      const run = await begin(backend, beginRequest("tokens", { leaseMs: 100, retentionMs: 60_000 }));
      tokens.push(run.token);
      if (damage === "takeover") await leaseEnded(backend, "tokens");
      else await backend.idempotency.finish(finishOf(run, { outcome: "released", body: null }));
      if (damage === "SCRIPT") await admin.script("FLUSH");
      if (damage === "DEL") await admin.del(keyOf("tokens"));
      if (damage === "FLUSHALL") await admin.flushall();
    }
    expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => (a < b ? -1 : 1)));
  });

  test("grow when the last one is ahead of the server's clock, and keep their last digit", async () => {
    const backend = open();
    // A failover to a server whose clock is behind.
    const last = 8999999999999999n;
    await begin(backend, beginRequest("ahead", { leaseMs: 100 }));
    await admin.hset(keyOf("ahead"), "token", String(last));
    await leaseEnded(backend, "ahead");
    const run = await begin(backend, beginRequest("ahead"));
    expect([run.token, run.attempt]).toEqual([last + 1n, 2]);
    expect(await backend.idempotency.extend(run)).toMatchObject({ kind: "extended" });
    expect(await backend.idempotency.finish(finishOf(run))).toBe("done");
    expect(await backend.idempotency.begin(beginRequest("ahead"))).toMatchObject({ token: last + 1n });
  });
});

test("a record is one key, and never without an end: the longer of lease and retention, from the last step", async () => {
  const backend = open();
  const left = async (): Promise<number> => {
    expect(await admin.keys("*")).toEqual([keyOf("ends")]);
    const leftMs = await admin.pttl(keyOf("ends"));
    // In tens of seconds: no step takes one.
    return Math.ceil((leftMs - 1_000) / 10_000) * 10_000;
  };
  const times = { leaseMs: 20_000, retentionMs: 60_000, watched: true };
  const first = await begin(backend, beginRequest("ends", times));
  expect(await left()).toBe(60_000);
  await begin(backend, { ...first, retentionMs: 80_000 });
  expect(await left()).toBe(80_000);
  expect(await backend.idempotency.begin(beginRequest("ends", times))).toMatchObject({ kind: "in-progress" });
  expect(await left()).toBe(80_000);
  await backend.idempotency.extend({ ...first, leaseMs: 90_000 });
  expect(await left()).toBe(90_000);
  await backend.idempotency.extend({ ...first, leaseMs: 100, retentionMs: 70_000 });
  expect(await left()).toBe(70_000);
  await leaseEnded(backend, "ends");
  const second = await begin(backend, beginRequest("ends", { ...times, retentionMs: 50_000 }));
  expect(await left()).toBe(50_000);
  expect(await backend.idempotency.finish(finishOf(first))).toBe("fenced");
  await backend.idempotency.finish(finishOf(second, { outcome: "released", retentionMs: 40_000 }));
  expect(await left()).toBe(40_000);
  const third = await begin(backend, beginRequest("ends", times));
  expect(await left()).toBe(60_000);
  await backend.idempotency.finish(finishOf(third, { retentionMs: 30_000 }));
  expect(await left()).toBe(30_000);
  expect(await admin.object("ENCODING", keyOf("ends"))).toBe("listpack");
});

test.each([Number.MAX_VALUE, 0, 0.5, NaN])(
  "a retention of %d ms is refused before it is sent: a key without an end could come of it",
  async (retentionMs) => {
    const backend = open();
    const run = await begin(backend, beginRequest("bound"));
    const calls = [
      () => backend.idempotency.begin(beginRequest("bound", { retentionMs })),
      () => backend.idempotency.extend({ ...run, retentionMs }),
      () => backend.idempotency.finish(finishOf(run, { retentionMs })),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const longest = finishOf(run, { retentionMs: Number.MAX_SAFE_INTEGER });
    expect(await backend.idempotency.finish(longest)).toBe("done");
    expect(await admin.pttl(keyOf("bound"))).toBeGreaterThan(60_000);
  },
);

test("once its retention is over a record is gone, and its key with it", async () => {
  const backend = open();
  const run = await begin(backend, beginRequest("over"));
  await backend.idempotency.finish(finishOf(run, { retentionMs: 100 }));
  await expect.poll(() => admin.keys("*")).toEqual([]);
  expect(await backend.idempotency.extend(run)).toEqual({ kind: "missing" });
  expect(await backend.idempotency.finish(finishOf(run))).toBe("missing");
  expect(await admin.keys("*")).toEqual([]);
});

test("a server out of memory refuses new executions whole; what runs is extended, finished and released", async () => {
  const backend = open();
  const { idempotency } = backend;
  const [completing, releasing, ended] = await Promise.all([
    begin(backend, beginRequest("completing")),
    begin(backend, beginRequest("releasing")),
    begin(backend, beginRequest("ended", { leaseMs: 100 })),
  ]);
  await leaseEnded(backend, "ended");
  await admin.config("SET", "maxmemory", "1");
  onTestFinished(async () => void (await admin.config("SET", "maxmemory", "0")));

  for (const record of ["new", "ended"]) {
    const refused = idempotency.begin(beginRequest(record, { watched: true }));
    await expect(refused).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: false });
  }
  expect(await admin.exists(keyOf("new"))).toBe(0);
  expect(await idempotency.begin(completing)).toMatchObject({ token: completing.token, attempt: 1 });
  expect(await idempotency.extend(completing)).toMatchObject({ kind: "extended" });
  // Merely late, and not replaced.
  expect(await idempotency.extend(ended)).toMatchObject({ kind: "extended" });
  expect(await idempotency.begin(beginRequest("completing", { watched: true }))).toMatchObject({
    kind: "in-progress",
  });
  expect(await admin.hget(keyOf("completing"), "watched")).toBe("1");
  expect(await idempotency.finish(finishOf(completing, { body: "b".repeat(10_000) }))).toBe("done");
  const replay = await idempotency.begin(beginRequest("completing"));
  expect(replay).toMatchObject({ kind: "finished", body: "b".repeat(10_000) });
  expect(await idempotency.finish(finishOf(releasing, { outcome: "released", body: null }))).toBe("done");
});

test("a body may have 8 MiB, and comes back as it was; a longer one is refused before it is sent", async () => {
  const { idempotency, ...backend } = open();
  const run = await begin({ idempotency, ...backend }, beginRequest("large"));
  const { maxBodyBytes } = idempotency;
  expect(maxBodyBytes).toBe(8 * 2 ** 20);
  const body = `\0é\r\n"${"ü".repeat(maxBodyBytes / 2 - 4)}.`;
  expect(Buffer.byteLength(body)).toBeLessThanOrEqual(maxBodyBytes);
  const tooLong = idempotency.finish(finishOf(run, { body: "ü".repeat(maxBodyBytes / 2) + "." }));
  await expect(tooLong).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(await idempotency.finish(finishOf(run, { body, timeoutMs: 10_000 }))).toBe("done");
  const replay = await idempotency.begin(beginRequest("large", { timeoutMs: 10_000 }));
  expect(replay.kind === "finished" && replay.body === body).toBe(true);
});

describe("lost replies", () => {
  test("asked again, each call gives the same answer as if the first had been heard", async () => {
    await using proxy = await startFaultProxy({ target: server.address });
    const backend = open(proxy.url("redis"));
    const { idempotency } = backend;
    await begin(backend, beginRequest("warm up"));
    const losing = async (call: () => Promise<unknown>): Promise<void> => {
      const lost = proxy.cutAfterNextRequest({ match: (chunk) => chunk.includes("{lost}") });
      await expect(call()).rejects.toMatchObject({ code: "OUTCOME_UNKNOWN" });
      await lost;
    };
    const request = beginRequest("lost");
    await losing(() => idempotency.begin(request));
    const run = await begin(backend, request);
    expect([run.attempt, await admin.hget(keyOf("lost"), "token")]).toEqual([1, String(run.token)]);
    await losing(() => idempotency.extend(run));
    expect(await idempotency.extend(run)).toMatchObject({ kind: "extended", leaseMs: run.leaseMs });
    await losing(() => idempotency.finish(finishOf(run)));
    expect(await idempotency.finish(finishOf(run))).toBe("done");
    expect(await idempotency.finish(finishOf(run, { outcome: "failed" }))).toBe("fenced");
    expect(await idempotency.begin(beginRequest("lost"))).toMatchObject({ body: "result", attempt: 1 });
  });

  test("a client that sends twice by itself executes once, and hears the one answer", async () => {
    await using proxy = await startFaultProxy({ target: server.address });
    // The defaults of ioredis: what is in flight when the connection is lost is sent again on the
    // next one.
    const client = new Redis(proxy.port, proxy.host);
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    await using backend = redisBackend(client);
    const twice = async <T>(call: () => Promise<T>): Promise<T> => {
      const lost = proxy.cutAfterNextRequest({ match: (chunk) => chunk.includes("{twice}") });
      const [reply] = await Promise.all([call(), lost]);
      return reply;
    };
    await begin(backend, beginRequest("warm up"));
    const run = await twice(() => begin(backend, beginRequest("twice", { timeoutMs: 10_000 })));
    expect(run.attempt).toBe(1);
    const finish = finishOf(run, { timeoutMs: 10_000 });
    expect(await twice(() => backend.idempotency.finish(finish))).toBe("done");
    expect(await backend.idempotency.begin(beginRequest("twice"))).toMatchObject({
      body: "result",
      attempt: 1,
    });
  });

  test("of a begin that was never heard: its owner takes back whatever it began, and no other's", async () => {
    const backend = open();
    const unheard = beginRequest("unheard");
    await begin(backend, unheard);
    const takeBack = finishOf(begunBy(unheard, await backend.idempotency.begin(unheard)), {
      ...{ token: null, outcome: "released", body: null },
    });
    const stranger = { ...takeBack, owner: beginRequest("unheard").owner };
    expect(await backend.idempotency.finish(stranger)).toBe("fenced");
    expect(await backend.idempotency.finish(takeBack)).toBe("done");
    expect(await backend.idempotency.finish(takeBack)).toBe("done");
    const next = await begin(backend, beginRequest("unheard"));
    expect(next.attempt).toBe(2);
    expect(await backend.idempotency.finish(takeBack)).toBe("fenced");
  });
});
