import { setTimeout as sleep } from "node:timers/promises";

import { createCoordinator, isLeaseholdError, type Lease } from "@leasehold/core";

import { SkewedClock } from "./semaphore-skewed-clock.ts";
import { openBackend, type StoreSpec } from "./store-spec.ts";
import { codeOf, nextCommand, reportTroubles, say, workerArgs } from "./worker-io.ts";

export interface SemaphoreArgs {
  readonly store: StoreSpec;
  readonly namespace: string;
  readonly ttlMs: number;
  readonly permits: number;
  readonly holders: number;
  /** How far this process's wall clock is off. */
  readonly skewMs: number;
}

/** No claim takes more than a twentieth, so that many hold at once. */
const share = 20;

// Many holders of one semaphore, each for a moment and for a number of permits drawn anew: see
// semaphore.test.ts.
reportTroubles();
const { store, namespace, ttlMs, permits, holders, skewMs } = workerArgs<SemaphoreArgs>();
const coordinator = createCoordinator({
  backend: await openBackend(store, { clock: new SkewedClock(skewMs) }),
  namespace,
  ttlMs,
  waitMs: 60_000,
  onEvent: ({ type, ...event }) => {
    if (type === "lost") say("lost", event);
  },
});
const semaphore = coordinator.semaphore("shared", { permits });
let stopping = false;
let hanging = false;
let abandoned = 0;
let unknown = 0;

/** Says before it believes: a look that is said and not had would only make the check stricter. */
function look(lease: Lease, weight: number): void {
  const atNs = process.hrtime.bigint();
  lease.assertHeld();
  say("held", { token: lease.fencingToken, weight, atNs });
}

/**
 * Null: it lost patience, and left the line; or its place there; or nobody knows, and any grant is
 * given back.
 */
async function acquire(weight: number): Promise<Lease | null> {
  const patience = Math.random() > 0.2 ? undefined : AbortSignal.timeout(Math.floor(Math.random() * 50));
  try {
    return await orUnknown(semaphore.acquire({ permits: weight, signal: patience }));
  } catch (error) {
    if (isLeaseholdError(error, "LEASE_LOST")) say("lost", { in: "line" });
    else if (patience === undefined || error !== patience.reason) throw error;
    else abandoned += 1;
    return null;
  }
}

/**
 * The contract allows a call to end so on a store that is slow to answer: what it did is then
 * undone by the store within a ttl. It is counted, and no failure: that the permits are conserved
 * all the same is what the test shows.
 */
async function orUnknown<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (!isLeaseholdError(error, "OUTCOME_UNKNOWN")) throw error;
    unknown += 1;
    return null;
  }
}

async function holdAgainAndAgain(): Promise<void> {
  while (!stopping) {
    const weight = 1 + Math.floor((Math.random() * permits) / share);
    const lease = await acquire(weight);
    if (lease === null) continue;
    try {
      look(lease, weight);
      // The work that the permits are for.
      await sleep(5 + Math.random() * 15);
      look(lease, weight);
    } catch (error) {
      // Said as "lost", and judged by the test: a machine that gives this process no turn for a ttl
      // costs it the lease.
      if (!isLeaseholdError(error, "LEASE_LOST")) throw error;
    }
    if (hanging) {
      say("hangs");
      await new Promise(() => {});
    }
    await orUnknown(lease.release());
  }
}

say("ready");
await nextCommand();
const working = Array.from({ length: holders }, () =>
  holdAgainAndAgain().catch((error: unknown) =>
    say("failed", { code: codeOf(error), message: String(error) }),
  ),
);
hanging = (await nextCommand()) === "hang";
stopping = true;
await Promise.all(working);
say("done", { abandoned, unknown });
await coordinator.close();
