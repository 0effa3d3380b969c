import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import type { Child, Message } from "./child.ts";
import { Stage } from "./stage.ts";
import type { StoreSpec } from "./store-spec.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const ttlMs = 2_000;

interface Subject {
  readonly store: () => StoreSpec;
  /** How late after the claim's expiry the store may let the next one in. etcd looks for dead leases every 500 ms. */
  readonly marginMs: number;
}

const subjects: [string, Subject][] = [
  ["redis", { store: () => ({ kind: "redis", url: redisServer.url }), marginMs: 750 }],
  ["etcd", { store: () => ({ kind: "etcd", hosts: etcdServer.hosts }), marginMs: 1_500 }],
];

describe.each(subjects)("%s", (name, { store, marginMs }) => {
  test("a holder stopped for 2 x ttl is replaced in time, knows it at the first look, and cannot write", async () => {
    await using stage = new Stage(store(), ttlMs);
    const [holder, waiter] = await stage.holderAndLine(1);
    holder.tell("spin");
    await holder.heard("spinning");
    holder.kill("SIGSTOP");
    const stoppedAtNs = process.hrtime.bigint();

    const next = await waiter.heard("held", { withinMs: ttlMs + 10_000 });
    const renewals = [await holder.heard("held"), ...holder.all("renewed")].map(atNs);
    const lastRenewedNs = renewals.toSorted((a, b) => Number(a - b)).at(-1) ?? 0n;
    const tookMs = Number(atNs(next) - lastRenewedNs) / 1e6;
    expect(tookMs, "let in before the store could know that the holder is dead").toBeGreaterThan(ttlMs - 250);
    expect(tookMs).toBeLessThan(ttlMs + marginMs);
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

  test("a killed holder is replaced within ttl + 2 s", async () => {
    await using stage = new Stage(store(), ttlMs);
    const [holder, waiter] = await stage.holderAndLine(1);
    holder.kill("SIGKILL");
    expect(await holder.endedWithin(5_000)).toEqual({ code: null, signal: "SIGKILL" });
    const killedAtNs = holder.endedAtNs ?? 0n;
    const next = await waiter.heard("held", { withinMs: ttlMs + 10_000 });
    expect(Number(atNs(next) - killedAtNs) / 1e6).toBeLessThan(ttlMs + 2_000);
    expect(token(next)).toBeGreaterThan(token(await holder.heard("held")));
    await expectReleased([waiter], ["released"]);
  });

  test("a waiter killed in the middle of the line is skipped", async () => {
    await using stage = new Stage(store(), ttlMs);
    const [holder, first, second] = await stage.holderAndLine(2);
    first.kill("SIGKILL");
    await first.endedWithin(5_000);
    const killedAtNs = first.endedAtNs ?? 0n;
    await expectReleased([holder], ["released"]);
    const next = await second.heard("held", { withinMs: ttlMs + 10_000 });
    expect(Number(atNs(next) - killedAtNs) / 1e6).toBeLessThan(ttlMs + 2_000);
    expect(first.all("held")).toEqual([]);
    await expectReleased([second], ["released"]);
  });
});

/** Has each release, and end by itself without a complaint. */
async function expectReleased(children: readonly Child[], outcomes: readonly string[]): Promise<void> {
  for (const child of children) child.tell("release");
  const endings = await Promise.all(children.map((child) => child.endedWithin(10_000)));
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
