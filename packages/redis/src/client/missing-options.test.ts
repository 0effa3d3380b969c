import { Cluster, Redis } from "ioredis";
import { Redis as Redis5 } from "ioredis-5";
import { expect, onTestFinished, test, vi } from "vitest";
import { missingOptions, warnOfMissingOptions } from "./missing-options.ts";

const lazyConnect = true;
const safe = { lazyConnect, socketTimeout: 2_000, reconnectOnError: () => true };

test("what the defaults of ioredis 5 and 6 lack", () => {
  for (const client of [new Redis({ lazyConnect }), new Redis5({ lazyConnect })])
    expect(missingOptions(client)).toEqual(["socketTimeout", "reconnectOnError"]);
  const cluster = new Cluster([{ port: 1 }], { lazyConnect });
  expect(missingOptions(cluster)).toEqual(["socketTimeout"]);
});

test("what the page recommends is complete", () => {
  expect(missingOptions(new Redis(safe))).toEqual([]);
  const sentinels = [{ port: 1 }];
  expect(missingOptions(new Redis({ ...safe, sentinels, name: "x" }))).toEqual(["sentinelCommandTimeout"]);
  expect(missingOptions(new Redis({ ...safe, sentinels, name: "x", sentinelCommandTimeout: 1_000 }))).toEqual(
    [],
  );
  const redisOptions = { socketTimeout: 2_000 };
  expect(missingOptions(new Cluster([{ port: 1 }], { lazyConnect, redisOptions }))).toEqual([]);
});

test("a client that never connects again, and one that does not tell its options", () => {
  expect(missingOptions(new Redis({ ...safe, retryStrategy: () => null }))).toEqual([]);
  expect(
    missingOptions(Object.assign(new Redis(safe), { options: { ...safe, retryStrategy: null } })),
  ).toEqual(["retryStrategy"]);
  expect(missingOptions(Object.assign(new Redis(safe), { options: undefined }))).toEqual([]);
});

test("one warning in a process for the same options, and none for a safe client", () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => warn.mockRestore());
  warnOfMissingOptions(new Redis(safe));
  expect(warn).not.toHaveBeenCalled();
  for (let i = 0; i < 3; i++) warnOfMissingOptions(new Redis({ lazyConnect }));
  expect(warn).toHaveBeenCalledOnce();
  expect(warn).toHaveBeenCalledWith(expect.stringMatching(/socketTimeout: 2000.*reconnectOnError/), {
    type: "LeaseholdWarning",
    code: "LEASEHOLD_REDIS_CLIENT",
  });
});
