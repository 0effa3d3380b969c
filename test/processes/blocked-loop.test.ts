import { randomUUID } from "node:crypto";

import { createCoordinator, isLeaseholdError } from "@leasehold/core";
import { expect, test } from "vitest";

import { openBackend, type StoreSpec } from "./store-spec.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const subjects: [string, { ttlMs: number; store: () => StoreSpec }][] = [
  ["memory", { ttlMs: 300, store: () => ({ kind: "memory" }) }],
  ["redis", { ttlMs: 1_000, store: () => ({ kind: "redis", url: redisServer.url }) }],
  ["etcd", { ttlMs: 2_000, store: () => ({ kind: "etcd", hosts: etcdServer.hosts }) }],
];

test.each(subjects)(
  "%s: an event loop blocked for 2 x ttl is noticed in the same tick",
  async (_, subject) => {
    const { ttlMs, store } = subject;
    const namespace = `blocked-${randomUUID()}`;
    const losses: unknown[] = [];
    await using coordinator = createCoordinator({
      backend: await openBackend(store()),
      namespace,
      ttlMs,
      onEvent: (event) => {
        if (event.type === "lost") losses.push(event.reason);
      },
    });
    const lock = coordinator.lock("shared");
    const lease = await lock.acquire();
    lease.assertHeld();
    let aborts = 0;
    lease.signal.addEventListener("abort", () => (aborts += 1));

    const endMs = performance.now() + 2 * ttlMs;
    while (performance.now() < endMs);
    // No timer has had its turn: it is the look that finds out, and tells.
    expect(lease.signal.aborted).toBe(false);
    expect(lease.isHeld()).toBe(false);
    expect(() => lease.assertHeld()).toThrow(
      expect.objectContaining({ code: "LEASE_LOST", reason: "expired" }),
    );
    expect(lease.remainingMs).toBe(0);
    expect(lease.signal.aborted).toBe(true);
    expect(isLeaseholdError(lease.signal.reason, "LEASE_LOST")).toBe(true);
    expect({ aborts, losses }).toEqual({ aborts: 1, losses: ["expired"] });

    // Final: what lay in the sockets meanwhile does not revive it, and the name can be had again at
    // once.
    await using again = await lock.acquire();
    expect(lease.isHeld()).toBe(false);
    expect(again.fencingToken).toBeGreaterThan(lease.fencingToken);
    expect(await lease.release()).toBe("gone");
    expect(again.isHeld()).toBe(true);
    expect({ aborts, losses }).toEqual({ aborts: 1, losses: ["expired"] });
  },
);
