import type { Clock, Random } from "@leasehold/core";
import { expect, test } from "vitest";
import type { Calls } from "../rpc/calls.ts";
import { RpcFailure } from "../rpc/failure.ts";
import { RetentionLeases } from "./retention-leases.ts";

const timeoutMs = 1_000;

/** Leases of a server that grants at once, on a clock that stands still but for `pass`. */
function stage(): {
  leases: RetentionLeases;
  granted: number[];
  pass: (ms: number) => void;
  fail: (failing: boolean) => void;
} {
  let nowMs = 0;
  let failing = false;
  const granted: number[] = [];
  const clock: Clock = {
    now: () => ({ monoMs: nowMs, wallMs: nowMs }),
    schedule: () => ({ cancel: () => {} }),
  };
  const leaseGrant = async ({ TTL }: { TTL: number }): Promise<{ TTL: string }> => {
    if (failing) throw new RpcFailure("unsent", "nobody listens");
    granted.push(TTL * 1000);
    return { TTL: String(TTL) };
  };
  const unary = async (request: (client: unknown, options: unknown) => unknown): Promise<unknown> =>
    request({ leaseClient: { leaseGrant } }, {});
  const calls = { clock, now: () => clock.now(), unary } as unknown as Calls;
  let ids = 0;
  const random: Random = {
    fraction: () => 0.5,
    hex: (bytes) => (ids++).toString(16).padStart(2 * bytes, "0"),
  };
  return {
    leases: new RetentionLeases(calls, random),
    granted,
    pass: (ms) => void (nowMs += ms),
    fail: (now) => void (failing = now),
  };
}

test.each([1_000, 60_000, 90_500, 86_400_000])(
  "for %i ms: kept for that long, and about an eighth more",
  async (retentionMs) => {
    const { leases, granted, pass } = stage();
    const spareMs = Math.max(1_000, retentionMs / 8);
    for (let step = 0; step < 40; step++) {
      const lease = await leases.forRecord("ended", retentionMs, timeoutMs);
      expect(lease.remainingMs).toBeGreaterThanOrEqual(retentionMs);
      expect(lease.remainingMs).toBeLessThanOrEqual(retentionMs + spareMs + 1_000);
      pass(spareMs / 10);
    }
    // 40 tenths of a bucket, of which each lease serves three quarters.
    expect(granted.length).toBeGreaterThanOrEqual(3);
    expect(granted.length).toBeLessThanOrEqual(6);
  },
);

test("under steady traffic the next lease is there before it is needed", async () => {
  const { leases, granted, pass } = stage();
  const first = await leases.forRecord("ended", 80_000, timeoutMs);
  pass(7_000);
  expect(await leases.forRecord("ended", 80_000, timeoutMs)).toBe(first);
  expect(granted).toHaveLength(1);
  pass(1_000);
  expect(await leases.forRecord("ended", 80_000, timeoutMs), "still good for this one").toBe(first);
  expect(granted).toHaveLength(2);
  await new Promise(setImmediate);
  const second = await leases.forRecord("ended", 80_000, timeoutMs);
  expect(second).not.toBe(first);
  expect(granted).toHaveLength(2);
});

test("a server that grants none ahead disturbs nobody who has one; who needs one is told", async () => {
  const { leases, granted, pass, fail } = stage();
  const first = await leases.forRecord("ended", 80_000, timeoutMs);
  fail(true);
  pass(9_000);
  expect(await leases.forRecord("ended", 80_000, timeoutMs)).toBe(first);
  pass(2_000);
  await expect(leases.forRecord("ended", 80_000, timeoutMs)).rejects.toMatchObject({ kind: "unsent" });
  fail(false);
  expect(await leases.forRecord("ended", 80_000, timeoutMs)).not.toBe(first);
  expect(granted).toHaveLength(2);
});

test("those who ask at once share a grant; another retention, or what is in progress, has its own", async () => {
  const { leases, granted } = stage();
  const ask = (keeping: "in-progress" | "ended", retentionMs: number): ReturnType<typeof leases.forRecord> =>
    leases.forRecord(keeping, retentionMs, timeoutMs);
  const asked = [ask("ended", 8_000), ask("ended", 8_000), ask("in-progress", 8_000), ask("ended", 16_000)];
  const [a, b, c, d] = await Promise.all(asked);
  expect(a).toBe(b);
  expect(new Set([a, c, d]).size).toBe(3);
  expect(granted).toHaveLength(3);
});

test("a lease that is lost is not used again", async () => {
  const { leases } = stage();
  const lost = await leases.forRecord("ended", 8_000, timeoutMs);
  leases.lost(lost);
  expect(await leases.forRecord("ended", 8_000, timeoutMs)).not.toBe(lost);
});
