import { redisBackend } from "@leasehold/redis";
import type { Degradation } from "@leasehold/core";
import { describe, expect, onTestFinished, test } from "vitest";

import { ownRedis } from "./own-redis.ts";
import { beginRequest, begunBy, finishOf } from "./requests.ts";
import { patienceMs } from "../stall/index.ts";

const { server, admin } = await ownRedis();

const key = "leasehold:{foreign}:idem";

function open(): ReturnType<typeof redisBackend> {
  const backend = redisBackend(server.url);
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  return backend;
}

/** As it lies there, whatever it is. */
async function stored(): Promise<unknown> {
  return { dump: await admin.dumpBuffer(key), endless: (await admin.pttl(key)) === -1 };
}

const instead = async (write: () => Promise<unknown>): Promise<void> => {
  await admin.del(key);
  await write();
};
const field = (name: string, value: string) => (): Promise<unknown> => admin.hset(key, name, value);
const without = (name: string) => (): Promise<unknown> => admin.hdel(key, name);

const hostile: [name: string, spoil: () => Promise<unknown>][] = [
  ["a string", () => instead(() => admin.set(key, "5ecret"))],
  ["a list", () => instead(() => admin.lpush(key, "5ecret"))],
  ["a hash of somebody else's", () => instead(() => admin.hset(key, "5ecret", "1"))],
  [
    "a hash with a prototype",
    () => instead(() => admin.hset(key, "__proto__", "5ecret", "constructor", "1")),
  ],
  ["a later version", field("version", "2")],
  ["a version of 10 MB", field("version", "1".repeat(10_000_000))],
  ["a state that is none", field("state", "__proto__")],
  ["a state of two letters", field("state", "pc")],
  ["an empty state", field("state", "")],
  ["a token that is no number", field("token", "5ecret5ecret5ecr")],
  ["a negative token", field("token", "-111111111111111")],
  ["a token of another length", field("token", "17")],
  ["a token beyond what a double holds", field("token", "9999999999999999")],
  ["a token of 10 MB", field("token", "1".repeat(10_000_000))],
  ["an attempt that is none", field("attempt", "0")],
  ["a negative attempt", field("attempt", "-1")],
  ["a huge attempt", field("attempt", "1".repeat(400))],
  ["an attempt with an exponent", field("attempt", "1e3")],
  ["a lease that is no number", field("lease", "0x10")],
  ["an infinite lease", field("lease", "inf")],
  ["an end that is none", field("ends", "nan")],
  ["a negative end", field("ends", "-5")],
  ["an end beyond all times", field("ends", "9".repeat(17))],
  ...["version", "state", "owner", "token", "attempt", "fingerprint", "lease", "ends"].map(
    (name): [string, () => Promise<unknown>] => [`no ${name}`, without(name)],
  ),
];

describe("what others wrote under the key of a record", () => {
  test.each(hostile)(
    "%s: a permanent error from each call, an event, and it is left as it is",
    async (_, spoil) => {
      const backend = open();
      const { idempotency } = backend;
      const heard: Degradation[] = [];
      backend.onDegraded((degradation) => heard.push(degradation));
      // A script that looks through 10 MB takes a while on a busy machine.
      const patient = { timeoutMs: patienceMs };
      const request = beginRequest("foreign", patient);
      const run = begunBy(request, await idempotency.begin(request));
      await spoil();
      const before = await stored();

      const other = { ...patient, fingerprint: "b".repeat(64), watched: true };
      const taken = { ...patient, token: null, outcome: "released", body: null } as const;
      const calls = [
        () => idempotency.begin(request),
        () => idempotency.begin(beginRequest("foreign", { ...patient, watched: true })),
        () => idempotency.begin(beginRequest("foreign", other)),
        () => idempotency.extend(run),
        () => idempotency.finish(finishOf(run, patient)),
        () => idempotency.finish(finishOf(run, taken)),
      ];
      for (const call of calls) {
        const failing = call();
        await expect(failing).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
        await expect(failing).rejects.toThrow(key);
        await expect(failing).rejects.not.toThrow("5ecret");
      }
      expect(heard.map(({ reason }) => reason)).toEqual(calls.map(() => "malformed-record"));
      expect(await stored()).toEqual(before);
      // Others are not harmed.
      expect(await idempotency.begin(beginRequest("fine"))).toMatchObject({ kind: "begun" });
      expect(({} as Record<string, unknown>)["5ecret"]).toBeUndefined();
    },
  );

  test("a body of 10 MB is never sent to anybody, whoever wrote it; without it the record is ours again", async () => {
    const backend = open();
    const { idempotency } = backend;
    const request = beginRequest("foreign");
    const run = begunBy(request, await idempotency.begin(request));
    await idempotency.finish(finishOf(run));
    await admin.hset(key, "body", "b".repeat(10_000_000));
    const heard: Degradation[] = [];
    backend.onDegraded((degradation) => heard.push(degradation));
    const before = await stored();
    const replay = idempotency.begin(beginRequest("foreign"));
    await expect(replay).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
    expect(heard).toMatchObject([{ reason: "malformed-record" }]);
    expect(await stored()).toEqual(before);
    const other = beginRequest("foreign", { fingerprint: "b".repeat(64) });
    expect(await idempotency.begin(other)).toEqual({ kind: "mismatch" });
    await admin.hdel(key, "body");
    expect(await idempotency.begin(beginRequest("foreign"))).toMatchObject({ kind: "finished", body: null });
  });

  test("a body left in a record that is not finished is never taken for a result", async () => {
    const { idempotency } = open();
    const request = beginRequest("foreign");
    const run = begunBy(request, await idempotency.begin(request));
    await admin.hset(key, "body", "5ecret");
    expect((await idempotency.begin(beginRequest("foreign"))).kind).toBe("in-progress");
    expect(await idempotency.finish(finishOf(run, { body: null }))).toBe("done");
    expect(await idempotency.begin(beginRequest("foreign"))).toMatchObject({ kind: "finished", body: null });
  });

  test("fields of ours that others made endless or long are harmless: they are compared, and the end is set again", async () => {
    const { idempotency } = open();
    const request = beginRequest("foreign");
    const run = begunBy(request, await idempotency.begin(request));
    await admin.persist(key);
    await idempotency.extend(run);
    expect(await admin.pttl(key)).toBeGreaterThan(0);
    await admin.hset(key, "owner", "o".repeat(1_000_000), "extra", "e");
    expect((await idempotency.begin(request)).kind).toBe("in-progress");
    expect(await idempotency.finish(finishOf(run))).toBe("fenced");
    await admin.hset(key, "fingerprint", "f".repeat(1_000_000));
    expect(await idempotency.begin(request)).toEqual({ kind: "mismatch" });
  });
});

test.each([
  "__proto__",
  "constructor",
  "toString",
  "",
  "{}",
  "}{",
  "a\0b",
  "\ud800",
  "\udfff",
  "%",
  "é",
  "a b:idem",
])("the record %j is one like any other, and meets none of the others", async (record) => {
  const { idempotency } = open();
  const request = beginRequest(record);
  const run = begunBy(request, await idempotency.begin(request));
  for (const other of [`${record} `, `${record}:idem`, `x${record}`, encodeURIComponent("{}")])
    expect(await idempotency.begin(beginRequest(other)), other).toMatchObject({ kind: "begun", attempt: 1 });
  expect(await idempotency.extend(run)).toMatchObject({ kind: "extended" });
  expect(await idempotency.finish(finishOf(run, { body: record.toWellFormed() }))).toBe("done");
  expect(await idempotency.begin(beginRequest(record))).toMatchObject({
    kind: "finished",
    body: record.toWellFormed(),
    token: run.token,
  });
});
