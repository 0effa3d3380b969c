import { SimClock, withFaults } from "@leasehold/testing";
import { expect, it } from "vitest";

import { systemRandom } from "../base/random.ts";
import { Context } from "../context.ts";
import type { Backend } from "../contract/backend.ts";
import { createCoordinator } from "../coordinator.ts";
import { memoryBackend } from "../memory/index.ts";
import { renewalTimeoutMs } from "./belief.ts";
import { Claim } from "./claim.ts";
import { RenewalLoop } from "./renewal-loop.ts";

interface Batch {
  readonly ttls: readonly number[];
  readonly timeoutMs: number;
}

/** A coordinator on the in-process store, and the batches in which it renews. */
function open(): { clock: SimClock; batches: Batch[]; coordinator: ReturnType<typeof createCoordinator> } {
  const clock = new SimClock();
  const batches: Batch[] = [];
  const { backend } = withFaults(memoryBackend({ clock }));
  const { leases } = backend;
  const renew: typeof leases.renew = (requests, options) => {
    batches.push({ ttls: requests.map(({ ttlMs }) => ttlMs), timeoutMs: options.timeoutMs });
    return leases.renew(requests, options);
  };
  const counted: Backend = {
    ...backend,
    leases: { ...leases, renew },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
  return { clock, batches, coordinator: createCoordinator({ backend: counted }) };
}

it("gives each claim of a batch a time to answer that fits its ttl, whatever stands beside it", async () => {
  const { clock, batches, coordinator } = open();
  for (const ttlMs of [600, 700, 2_000, 15_000, 16_000])
    await coordinator.lock(`ttl-${ttlMs}`).acquire({ ttlMs });
  await clock.advance(15_000);
  expect(batches.some(({ ttls }) => ttls.includes(15_000))).toBe(true);
  for (const { ttls, timeoutMs } of batches) {
    for (const ttlMs of ttls) {
      expect(timeoutMs).toBeLessThanOrEqual(renewalTimeoutMs(ttlMs));
      expect(timeoutMs).toBeGreaterThanOrEqual(renewalTimeoutMs(ttlMs) / 2);
    }
  }
});

it("keeps claims of like ttls in one batch", async () => {
  const { clock, batches, coordinator } = open();
  for (const ttlMs of [15_000, 12_000, 9_000]) await coordinator.lock(`ttl-${ttlMs}`).acquire({ ttlMs });
  await clock.advance(60_000);
  expect(batches.filter(({ ttls }) => ttls.length < 3)).toEqual([]);
});

it("renews more leases at once than a call has room for arguments", async () => {
  const clock = new SimClock();
  const { backend } = withFaults(memoryBackend({ clock }));
  const batches: number[] = [];
  const renew: Backend["leases"]["renew"] = async (requests) => {
    batches.push(requests.length);
    const validFrom = clock.now();
    return requests.map(({ ticket, ttlMs }) => {
      return { kind: "renewed", ticket, ttlMs, validFrom, granted: true, aheadMs: 0 };
    });
  };
  const store: Backend = { ...backend, leases: { ...backend.leases, renew } };
  const context = new Context({
    ...{ backend: store, namespace: "default", random: systemRandom, emit: () => {} },
  });
  const renewals = new RenewalLoop(context, { renewed: () => {}, unconfirmed: () => {} });
  const [ttlMs, waiter] = [15_000, { granted: () => {}, died: () => {}, ask: () => {} }];
  const claims = Array.from({ length: 150_000 }, (_, index) => {
    const resource = { name: `n${index}`, capacity: 1, announce: false };
    const claim = new Claim({ resource, owner: `${index}`, ttlMs }, clock, waiter);
    claim.sending();
    claim.answered({ kind: "granted", ticket: 1n, ttlMs, validFrom: clock.now() });
    renewals.add(claim);
    return claim;
  });
  await clock.advance(17_000);
  expect(batches).toEqual([150_000, 150_000, 150_000]);
  expect(claims.every((claim) => claim.isHeld())).toBe(true);
});
