import { setTimeout as sleep } from "node:timers/promises";

import { LeaseholdError } from "@leasehold/core";
import { describe, expect, it, test } from "vitest";

import type { Sabotage } from "../servers/sabotage.ts";
import { LateError } from "../servers/wait-until.ts";
import { checkUnstalled, expectWithin, unlessStalled } from "./bounds.ts";
import { beatHeart, type Stall } from "./heartbeat.ts";
import { beatServer } from "./server-beat.ts";
import { StallLog } from "./stall-log.ts";

const ms = (count: number): bigint => BigInt(count) * 1_000_000n;
const stall = (from: number, to: number): Stall => ({ fromNs: ms(from), toNs: ms(to) });

/** A heart that beats at these moments, when the process has used so much of the processor. */
function stallsOfHeart(beats: readonly { atMs: number; cpuMs: number }[]): Stall[] {
  const found: Stall[] = [];
  let [now, cpu] = [0, 0];
  let beat = (): void => {};
  const stop = beatHeart((each) => found.push(each), {
    nowNs: () => ms(now),
    cpuMs: () => cpu,
    every: (_ms, callback) => {
      beat = callback;
      return () => {};
    },
  });
  for (const { atMs, cpuMs } of beats) {
    [now, cpu] = [atMs, cpuMs];
    beat();
  }
  stop();
  return found;
}

test("a beat that comes late is a stall, but for what the process computed itself", () => {
  expect(
    stallsOfHeart([
      { atMs: 20, cpuMs: 1 },
      { atMs: 48, cpuMs: 2 },
    ]),
    "a little late",
  ).toEqual([]);
  expect(stallsOfHeart([{ atMs: 520, cpuMs: 0 }])).toEqual([stall(20, 520)]);
  expect(stallsOfHeart([{ atMs: 520, cpuMs: 500 }]), "its own doing").toEqual([]);
  expect(stallsOfHeart([{ atMs: 520, cpuMs: 200 }])).toEqual([stall(220, 520)]);
});

test("stalls at once count once, others add up, and only what lies between the moments counts", () => {
  const log = new StallLog();
  for (const each of [stall(100, 200), stall(150, 250), stall(400, 500), stall(160, 170)]) log.record(each);
  expect(log.stalledMs(ms(0), ms(1_000))).toBe(250);
  expect(log.stalledMs(ms(120), ms(450))).toBe(180);
  expect(log.stalledMs(ms(600), ms(900))).toBe(0);
  expect(log.worst(100, ms(0))).toEqual({ ms: 100, of: "the test" });
  expect(log.worst(100, ms(500)).ms).toBe(0);
});

test("many short stalls of one process are as bad as a long one; those of others are not its own", () => {
  const log = new StallLog();
  for (let at = 0; at < 1_000; at += 100) log.record({ ...stall(at, at + 60), of: "one", pid: 1 });
  for (let at = 0; at < 1_000; at += 100) log.record({ ...stall(at + 60, at + 100), of: "one", pid: 2 });
  expect(log.worst(500, ms(0))).toEqual({ ms: 300, of: "one" });
  expect(log.worst(2_000, ms(0)).ms).toBe(600);
  log.record({ ...stall(560, 700), of: "the server" });
  expect(log.worst(500, ms(0)).ms, "but those of the server are everybody's").toBe(380);
});

test("a bound is widened by the stalls that were measured, and by nothing else", () => {
  const log = new StallLog();
  const span = { fromNs: ms(0), toNs: ms(1_100) };
  expect(expectWithin("it", 1_100, span, log)).toBe(1_100);
  expect(() => expectWithin("it", 1_000, span, log)).toThrow(
    "it: took 1100 ms, and may take 1000 ms and the 0 ms",
  );
  log.record(stall(2_000, 3_000));
  expect(() => expectWithin("it", 1_000, span, log)).toThrow(LateError);
  log.record(stall(500, 600));
  expect(expectWithin("it", 1_000, span, log)).toBe(1_100);
});

it("runs a scenario again that was late while something stalled: three times at most, and says so", async () => {
  const log = new StallLog();
  const said: string[] = [];
  const options = { log, say: (line: string): number => said.push(line) };
  const stallNow = (): void => {
    const toNs = process.hrtime.bigint();
    log.record({ fromNs: toNs - ms(900), toNs });
  };
  let runs = 0;
  const spoilt = async (): Promise<string> => {
    const fromNs = process.hrtime.bigint();
    runs += 1;
    stallNow();
    checkUnstalled(500, fromNs, () => expect(runs, "nobody lost a lease").toBe(2), log);
    return "done";
  };
  expect(await unlessStalled(500, spoilt, options)).toBe("done");
  expect(said).toEqual([
    expect.stringContaining("no turn for 900 of 1000 ms, and 500 ms can be borne; run 1 of 3"),
  ]);

  const fromNs = process.hrtime.bigint();
  const fails = (): void => checkUnstalled(500, fromNs, () => expect(1).toBe(2), log);
  expect(fails, "no stall excuses it").not.toThrow(LateError);
  expect(fails).toThrow("expected 1 to be 2");

  runs = 0;
  const late = async (): Promise<never> => {
    runs += 1;
    stallNow();
    throw new LateError("late");
  };
  await expect(unlessStalled(500, late, options)).rejects.toThrow("late");
  expect(runs, "a machine that stalls on and on").toBe(3);
  runs = 0;
  await expect(unlessStalled(1_000, late, options)).rejects.toThrow("late");
  expect(runs, "a stall that can be borne excuses nothing").toBe(1);
  const broken = async (): Promise<never> => {
    runs += 1;
    stallNow();
    throw new Error("two held at once");
  };
  await expect(unlessStalled(500, broken, options)).rejects.toThrow("two held at once");
  expect(runs, "a broken promise is not late").toBe(2);
  runs = 0;
  const unreachable = async (): Promise<void> => {
    runs += 1;
    if (runs > 1) return;
    stallNow();
    throw new LeaseholdError("BACKEND_UNAVAILABLE", "Redis did not become ready in time.");
  };
  await unlessStalled(500, unreachable, options);
  expect(runs, "a server without a turn is out of reach").toBe(2);
});

describe("a server", () => {
  /** What is told of one that answers so, each after 200 ms. */
  async function stallsOf(answers: readonly boolean[], sabotage?: Sabotage): Promise<readonly Stall[]> {
    const found: Stall[] = [];
    const left = [...answers];
    const asked = Promise.withResolvers<void>();
    const stop = beatServer(
      async () => {
        if (left.length === 0) asked.resolve();
        return (await sleep(200, left.shift())) === true;
      },
      { log: { record: (each) => found.push(each) }, ...(sabotage && { sabotage }) },
    );
    await asked.promise;
    stop();
    return found;
  }

  it("has stalled when it answers late", async () => {
    expect(await stallsOf([true])).toMatchObject([{ of: "the server" }]);
  });

  it("has stalled for as long as it did not answer at all", async () => {
    const [stall, ...more] = await stallsOf([false, false, true]);
    expect(more).toEqual([]);
    expect(Number((stall?.toNs ?? 0n) - (stall?.fromNs ?? 0n)) / 1e6).toBeGreaterThan(500);
  });

  it("that never answers, or that the test itself has paused, has not", async () => {
    expect(await stallsOf([false, false])).toEqual([]);
    expect(await stallsOf([false, true], { isGoingOn: true, count: 1 })).toEqual([]);
    let looks = 0;
    const ended = {
      count: 1,
      get isGoingOn(): boolean {
        return looks++ === 0;
      },
    };
    expect(await stallsOf([true], ended), "it was asked while it was paused").toEqual([]);
  });
});
