import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { expectWithin, stalls } from "../stall/index.ts";
import type { Child, Message } from "./child.ts";
import { LockScenario } from "./lock-scenario.ts";
import type { StoreSpec } from "./store-spec.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const ttlMs = 2_000;

const subjects: [string, () => StoreSpec][] = [
  ["redis", () => ({ kind: "redis", url: redisServer.url })],
  ["etcd", () => ({ kind: "etcd", hosts: etcdServer.hosts })],
];

describe.each(subjects)("%s", (name, store) => {
  test("a holder stopped for 2 x ttl is replaced in time, knows it at the first look, and cannot write", async () => {
    await using scenario = new LockScenario(store(), ttlMs);
    const [holder, waiter] = await scenario.holderAndLine(1);
    holder.tell("spin");
    await holder.heard("spinning");
    holder.kill("SIGSTOP");
    const stoppedAtNs = process.hrtime.bigint();

    const next = await waiter.heard("held");
    const renewals = [await holder.heard("held"), ...holder.all("renewed")].map(atNs);
    const lastRenewedNs = renewals.toSorted((a, b) => Number(a - b)).at(-1) ?? 0n;
    const span = { fromNs: lastRenewedNs, toNs: atNs(next) };
    const tookMs = expectWithin("the takeover", 2 * ttlMs, span);
    // The renewal reached the store before its holder heard so: by a round trip, and by a stall if
    // there was one then.
    const beforeNs = lastRenewedNs - BigInt(ttlMs) * 1_000_000n;
    const earliestMs = ttlMs - ttlMs / 8 - stalls.stalledMs(beforeNs, atNs(next));
    expect(tookMs, "let in before the store could know that the holder is dead").toBeGreaterThan(earliestMs);
    expect(token(next)).toBeGreaterThan(token(await holder.heard("held")));
    await waiter.heard("claimed");

    // The pause itself is what is tested: it ends 2 x ttl after it began.
    await sleep(2 * ttlMs - Number(process.hrtime.bigint() - stoppedAtNs) / 1e6);
    holder.kill("SIGCONT");
    expect(await holder.heard("looked")).toEqual({
      type: "looked",
      abortedBeforeLook: false,
      isHeld: false,
      assertHeld: "LEASE_LOST",
      remainingMs: 0,
      aborted: true,
      lost: true,
    });
    // Both write their pid on top of what they read. Only the new holder's is taken.
    waiter.tell("write");
    const { value } = await waiter.heard("wrote");
    expect(value).toBe((await waiter.heard("ready"))["pid"]);
    holder.tell("write");
    expect(await holder.heard("wrote")).toEqual({ type: "wrote", code: "STALE_TOKEN" });
    waiter.tell("read");
    expect(await waiter.heard("read")).toEqual({ type: "read", value });
    await expectReleased([holder, waiter], ["gone", "released"]);
    console.log(`pause on ${name}: taken over ${Math.round(tookMs - ttlMs)} ms after the ttl of ${ttlMs} ms`);
  });

  test("a killed holder is replaced within two ttls", async () => {
    await using scenario = new LockScenario(store(), ttlMs);
    const [holder, waiter] = await scenario.holderAndLine(1);
    holder.kill("SIGKILL");
    expect(await holder.ending()).toEqual({ code: null, signal: "SIGKILL" });
    const killedAtNs = holder.endedAtNs ?? 0n;
    const next = await waiter.heard("held");
    expectWithin("the takeover", 2 * ttlMs, { fromNs: killedAtNs, toNs: atNs(next) });
    expect(token(next)).toBeGreaterThan(token(await holder.heard("held")));
    await expectReleased([waiter], ["released"]);
  });

  test("a waiter killed in the middle of the line is skipped", async () => {
    await using scenario = new LockScenario(store(), ttlMs);
    const [holder, first, second] = await scenario.holderAndLine(2);
    first.kill("SIGKILL");
    await first.ending();
    const killedAtNs = first.endedAtNs ?? 0n;
    await expectReleased([holder], ["released"]);
    const next = await second.heard("held");
    expectWithin("the takeover", 2 * ttlMs, { fromNs: killedAtNs, toNs: atNs(next) });
    expect(first.all("held")).toEqual([]);
    await expectReleased([second], ["released"]);
  });
});

/** Has each release, and end by itself without a complaint. */
async function expectReleased(children: readonly Child[], outcomes: readonly string[]): Promise<void> {
  for (const child of children) child.tell("release");
  const endings = await Promise.all(children.map((child) => child.ending()));
  expect(children.map((child) => child.all("released")[0]?.["outcome"])).toEqual(outcomes);
  expect(endings).toEqual(children.map(() => ({ code: 0, signal: null })));
  expect(children.flatMap((child) => child.troubles)).toEqual([]);
  expect(children.map((child) => child.output)).toEqual(children.map(() => ""));
}

function atNs(message: Message): bigint {
  return BigInt(String(message["atNs"]));
}

function token(message: Message): bigint {
  return BigInt(String(message["token"]));
}
