import { describe, expect, test } from "vitest";

import { checkUnstalled, expectWithin, unlessStalled } from "../stall/index.ts";
import type { Child } from "./child.ts";
import { IdempotencyScenario } from "./idempotency-scenario.ts";
import type { StoreSpec } from "./store-spec.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const leaseMs = 1_000;

const subjects: [string, () => StoreSpec][] = [
  ["redis", () => ({ kind: "redis", url: redisServer.url })],
  ["etcd", () => ({ kind: "etcd", hosts: etcdServer.hosts })],
];

describe.each(subjects)("%s", (_name, storeOf) => {
  test("of 200 racers in 4 processes on one key one executes, and the others get its result or a conflict", async () => {
    await unlessStalled(1_000, () => expectOneExecution(storeOf()));
  });

  test("an executor killed in its handler is replaced after its lease, not after its retention", async () => {
    await using scenario = await IdempotencyScenario.open(storeOf(), { workers: 3, leaseMs });
    const [first, second, third] = scenario.workers as [Child, Child, Child];
    const key = "killed";
    first.tell({ key, end: "completes", value: "never" });
    const lost = await first.heard("executing");
    first.kill("SIGKILL");
    await first.ending();
    expect(
      await scenario.call(third, { key, onExpired: "fail", conflict: "wait", value: "never" }),
    ).toMatchObject({
      code: "OUTCOME_UNKNOWN",
    });
    const ended = await scenario.call(second, { key, conflict: "wait", value: "second" });
    expect(ended).toMatchObject({ value: "second", replayed: false, attempt: 2, record: "stored" });
    const taken = await second.heard("executing");
    expect(BigInt(String(taken["token"]))).toBeGreaterThan(BigInt(String(lost["token"])));
    expect(taken["downstreamKey"]).toBe(lost["downstreamKey"]);
    third.tell({ key, value: "never" });
    await expect.poll(() => third.all("ended").at(-1)).toMatchObject({ value: "second", replayed: true });
    expect(await scenario.finish()).toEqual([]);
  });

  test("a killed executor's successor begins within three leases", async () => {
    await using scenario = await IdempotencyScenario.open(storeOf(), { workers: 2, leaseMs });
    const [first, second] = scenario.workers as [Child, Child];
    first.tell({ key: "timed", end: "completes", value: "never" });
    await first.heard("executing");
    second.tell({ key: "timed", conflict: "wait", value: "second" });
    first.kill("SIGKILL");
    await first.ending();
    await second.heard("executing");
    expectWithin("the next execution", 3 * leaseMs, { fromNs: first.endedAtNs ?? 0n });
    expect(await second.heard("ended")).toMatchObject({ value: "second", attempt: 2 });
  });

  test.each(["completes", "fails", "releases"] as const)(
    "an executor stopped past its lease, that %s when it wakes, is fenced: its successor's result stands",
    async (end) => {
      await using scenario = await IdempotencyScenario.open(storeOf(), { workers: 3, leaseMs });
      const [first, second, third] = scenario.workers as [Child, Child, Child];
      const key = `stopped-${end}`;
      first.tell({ key, end, value: "first" });
      await first.heard("executing");
      first.kill("SIGSTOP");
      const ended = await scenario.call(second, { key, conflict: "wait", value: "second" });
      expect(ended).toMatchObject({ value: "second", attempt: 2, record: "stored" });
      first.kill("SIGCONT");
      expect(await first.heard("aborted")).toMatchObject({ code: "LEASE_LOST" });
      first.tell("go");
      const late = await first.heard("ended");
      expect(late["code"] === "IDEMPOTENCY_FENCED" || late["message"]).toBe(
        { completes: true, fails: "declined", releases: "nothing happened" }[end],
      );
      const replayed = await scenario.call(third, { key, value: "third" });
      expect(replayed).toMatchObject({ value: "second", replayed: true, attempt: 2 });
      expect(scenario.effects, "one of each attempt, and no other").toHaveLength(2);
      expect(await scenario.finish()).toEqual([]);
    },
  );
});

async function expectOneExecution(store: StoreSpec): Promise<void> {
  const startedAtNs = process.hrtime.bigint();
  await using scenario = await IdempotencyScenario.open(store, { workers: 4, leaseMs: 5_000 });
  for (const [round, conflict] of (["wait", "reject"] as const).entries()) {
    const before = scenario.workers.map((worker) => worker.all("ended").length);
    const doneBefore = scenario.workers.map((worker) => worker.all("done").length);
    for (const worker of scenario.workers)
      worker.tell({ key: `race-${round}`, count: 50, conflict, value: "charged once" });
    await expect
      .poll(() => scenario.workers.map((worker, i) => worker.all("done").length - (doneBefore[i] ?? 0)))
      .toEqual([1, 1, 1, 1]);
    const ended = scenario.workers.flatMap((worker, i) => worker.all("ended").slice(before[i]));
    expect(ended).toHaveLength(200);
    expect(ended.filter(({ replayed }) => replayed === false)).toHaveLength(1);
    const expected = new Set(
      conflict === "wait" ? ["charged once"] : ["charged once", "IDEMPOTENCY_IN_PROGRESS"],
    );
    const others = ended.map(({ value, code }) => value ?? code).filter((end) => !expected.has(String(end)));
    // A store that gets no turn for as long as a call may take leaves some of them without an
    // answer.
    checkUnstalled(1_000, startedAtNs, () => expect(others).toEqual([]));
    expect(scenario.effects, "at the resource").toHaveLength(round + 1);
  }
  expect(await scenario.finish()).toEqual([]);
}
