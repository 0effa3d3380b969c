import { SimClock, withFaults, type Link } from "@leasehold/testing";
import { beforeEach, describe, expect, it } from "vitest";

import type { Backend } from "../contract/backend.ts";
import type { RenewRequest } from "../contract/lease-store.ts";
import { createCoordinator, type Coordinator, type CoordinatorOptions } from "../coordinator.ts";
import type { LeaseholdEvent } from "../events.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";

let clock: SimClock;
let store: MemoryStore;
let events: LeaseholdEvent[];
let batches: (readonly RenewRequest[])[];

beforeEach(() => {
  clock = new SimClock();
  store = new MemoryStore({ clock });
  events = [];
  batches = [];
});

/** A backend whose renewals are counted. */
function counted(backend: Backend): Backend {
  const { leases } = backend;
  const renew: typeof leases.renew = (requests, options) => {
    batches.push(requests);
    return leases.renew(requests, options);
  };
  return {
    ...backend,
    leases: { ...leases, renew },
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

function open(options: Partial<CoordinatorOptions> = {}): { coordinator: Coordinator; link: Link } {
  const { backend, link } = withFaults(memoryBackend({ store }));
  const onEvent = (event: LeaseholdEvent): void => void events.push(event);
  return {
    coordinator: createCoordinator({ backend: counted(backend), ttlMs: 3_000, onEvent, ...options }),
    link,
  };
}

const types = (): string[] => events.map(({ type }) => type);

describe("renewal", () => {
  it("renews every third of the ttl, all claims of the process in one batch", async () => {
    const { coordinator } = open();
    for (let i = 0; i < 40; i++) {
      await coordinator.lock(`name-${i}`).acquire();
      await clock.advance(10);
    }
    await clock.advance(600);
    expect(batches).toHaveLength(1);
    expect(batches[0]).toHaveLength(40);
    await clock.advance(10_000);
    expect(batches).toHaveLength(11);
    expect(types().filter((type) => type === "lost")).toEqual([]);
  });

  it("repeats a failed renewal before the deadline, reports it once, and keeps the lease when one succeeds", async () => {
    const { coordinator, link } = open();
    const lease = await coordinator.lock("a").acquire();
    link.cut();
    await clock.advance(2_400);
    expect(lease.isHeld()).toBe(true);
    expect(batches).toHaveLength(2);
    expect(types()).toEqual(["acquired", "unconfirmed"]);
    await link.heal();
    await clock.advance(200);
    expect(types()).toEqual(["acquired", "unconfirmed", "renewed"]);
    await clock.advance(3_000);
    expect(lease.isHeld()).toBe(true);
  });

  it("aborts the signal at the deadline by a timer of its own, while every request hangs", async () => {
    const { coordinator, link } = open();
    const lease = await coordinator.lock("a").acquire();
    link.cut();
    await clock.advance(3_000 - 71);
    expect(lease.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(lease.signal.aborted).toBe(true);
    expect(lease.signal.reason).toMatchObject({ code: "LEASE_LOST", reason: "expired" });
  });

  it("asks about a waiter as soon as those ahead may have died, however long its own ttl", async () => {
    const { coordinator } = open({ ttlMs: 60_000 });
    const dead = withFaults(memoryBackend({ store }));
    const other = createCoordinator({ backend: dead.backend, ttlMs: 1_000 });
    await other.lock("a").acquire();
    const waiting = coordinator.lock("a").acquire();
    await clock.advance(10);
    dead.link.cut();
    await clock.advance(1_100);
    await expect(waiting).resolves.toMatchObject({ name: "a" });
  });

  it("counts a forward step of the wall clock as a loss, which is safe, and reports it", async () => {
    const { coordinator } = open();
    const lease = await coordinator.lock("a").acquire();
    clock.stepWall(3_600_000);
    expect(lease.isHeld()).toBe(false);
    expect(() => lease.assertHeld()).toThrow(/could not be renewed/);
  });
});

describe("how a wait ends", () => {
  it("rejects with OUTCOME_UNKNOWN when a request was not answered", async () => {
    const { coordinator, link } = open();
    link.cut();
    const failed = expect(coordinator.lock("a").acquire({ waitMs: 1_000 })).rejects.toMatchObject({
      code: "OUTCOME_UNKNOWN",
    });
    await clock.advance(1_000);
    await failed;
  });

  it("rejects with BACKEND_UNAVAILABLE when the store is out of reach, at once for a try", async () => {
    const { backend } = withFaults(memoryBackend({ store }));
    const down = Object.assign(new Error("no route"), {
      code: "BACKEND_UNAVAILABLE",
      "@leasehold/error": true,
    });
    const acquire = (): Promise<never> => Promise.reject(down);
    const coordinator = createCoordinator({
      backend: { ...backend, leases: { ...backend.leases, acquire } },
    });
    await expect(coordinator.lock("a").tryAcquire()).rejects.toBe(down);
    const failed = expect(coordinator.lock("a").acquire({ waitMs: 700 })).rejects.toMatchObject({
      code: "BACKEND_UNAVAILABLE",
      cause: down,
      message: 'The store did not serve lock "a" within 700 ms. no route',
    });
    await clock.advance(700);
    await failed;
    expect(clock.pending).toBe(0);
  });

  it("leaves no timer and no listener on the caller's signal", async () => {
    const { coordinator } = open();
    const aborter = new AbortController();
    const lease = await coordinator.lock("a").acquire({ signal: aborter.signal });
    await lease.release();
    const held = await coordinator.lock("a").acquire();
    aborter.abort(new Error("too late to matter"));
    expect(held.isHeld()).toBe(true);
    await coordinator.close();
    expect(clock.pending).toBe(0);
  });

  it("refuses callers beyond maxWaiters and beyond maxWaitersPerName", async () => {
    const { coordinator } = open({ maxWaiters: 3, maxWaitersPerName: 2 });
    await coordinator.lock("a").acquire();
    const waiting = [coordinator.lock("a").acquire(), coordinator.lock("a").acquire()].map((wait) =>
      wait.catch(() => {}),
    );
    await clock.advance(1);
    await expect(coordinator.lock("a").acquire()).rejects.toThrow(/2 waiters already/);
    const third = coordinator.lock("b").acquire();
    await expect(coordinator.lock("c").acquire()).rejects.toThrow(/3 acquire calls/);
    await third;
    await coordinator.close();
    await Promise.all(waiting);
  });
});

describe("a body", () => {
  it("is reported, and awaited all the same, when it ignores the loss of its lease", async () => {
    const { coordinator, link } = open({ graceMs: 500 });
    const { promise, resolve } = Promise.withResolvers<string>();
    const running = expect(coordinator.lock("a").run(() => promise)).rejects.toMatchObject({
      code: "LEASE_LOST",
    });
    await clock.advance(1);
    link.cut();
    await clock.advance(3_000);
    expect(types()).toContain("lost");
    expect(types()).not.toContain("stuck");
    await clock.advance(600);
    expect(types()).toContain("stuck");
    resolve("too late");
    await running;
  });

  it("keeps its name until its ttl has passed when it outlives a close", async () => {
    const { coordinator } = open({ graceMs: 500 });
    const { promise, resolve } = Promise.withResolvers<string>();
    const running = coordinator.lock("a").run(() => promise);
    await clock.advance(1);
    const closed = coordinator.close();
    await clock.advance(500);
    await closed;
    expect(types()).toContain("stuck");
    expect(store.inspect("default:lock:a").holders).toHaveLength(1);
    resolve("done");
    await running.catch(() => {});
    await clock.advance(3_000);
    expect(store.inspect("default:lock:a").holders).toHaveLength(0);
  });
});

describe("coordinators on one backend", () => {
  it("do not take each other's grants, and the last one to close closes the backend", async () => {
    const backend = memoryBackend({ store });
    const [one, two] = [createCoordinator({ backend }), createCoordinator({ backend })];
    const held = await one.lock("a").acquire();
    const waiting = two.lock("a").acquire();
    await clock.advance(1);
    await held.release();
    const lease = await waiting;
    await one.close();
    expect(lease.isHeld()).toBe(true);
    expect(await lease.release()).toBe("released");
    await two.close();
    await expect(backend.leases.inspect("x", { timeoutMs: 1 })).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("keep namespaces apart", async () => {
    const { coordinator } = open({ namespace: "one" });
    const { coordinator: other } = open({ namespace: "two" });
    await coordinator.lock("a").acquire();
    expect((await other.lock("a").tryAcquire())?.isHeld()).toBe(true);
  });
});

it("goes on when a listener throws, and warns", async () => {
  const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
  const { coordinator } = open({
    onEvent: () => {
      throw new Error("listener's own trouble");
    },
  });
  expect((await coordinator.lock("a").acquire()).isHeld()).toBe(true);
  expect((await warned).message).toMatch(/listener's own trouble/);
});

it("asks again about a waiter when pushes may have been missed while the last question was on its way", async () => {
  const { backend, link } = withFaults(memoryBackend({ store }));
  let lookAgain = (): void => {};
  const leases: Backend["leases"] = {
    ...backend.leases,
    onGrant: (listener) => {
      lookAgain = () => listener.lookAgain();
      return backend.leases.onGrant(listener);
    },
  };
  const waiter = createCoordinator({ backend: counted({ ...backend, leases }), ttlMs: 3_000 });
  const { coordinator: holder } = open({ ttlMs: 60_000 });
  const held = await holder.lock("a").acquire();
  const waiting = waiter.lock("a").acquire();
  await clock.advance(10);
  link.slow(100);
  const asked = (): number => batches.flat().filter(({ ticket }) => ticket !== held.fencingToken).length;
  while (asked() === 0) await clock.advance(1);
  // The store has answered the question, and then grants. The push is lost, and pushes are heard
  // again before that answer arrives.
  await clock.advance(150);
  link.dropPushes?.();
  await held.release();
  lookAgain();
  await clock.advance(300);
  expect(asked()).toBe(2);
  expect((await waiting).isHeld()).toBe(true);
});

it("recognises an abort that another copy of this package threw: it is no error of the body's own", async () => {
  const { coordinator, link } = open();
  const foreign = Object.assign(new Error("lost"), { code: "LEASE_LOST", "@leasehold/error": true });
  const running = coordinator.lock("a").run(
    ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(foreign));
        link.cut();
      }),
  );
  const failed = expect(running).rejects.toMatchObject({ code: "LEASE_LOST", reason: "expired" });
  await clock.advance(3_000);
  await failed;
});

it("refuses a margin that is not 0 or more milliseconds", async () => {
  const { coordinator } = open();
  const lease = await coordinator.lock("a").acquire();
  lease.assertHeld(2_000);
  expect(() => lease.assertHeld(60_000)).toThrow(expect.objectContaining({ code: "LEASE_LOST" }));
  for (const margin of [Number.NaN, -1, Infinity, "5" as unknown as number])
    expect(() => lease.assertHeld(margin)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});

it("keeps what a candidate says of itself when it proclaims, on a clock that ticks at every look", async () => {
  let wallMs = 0;
  const ticking = { now: () => ({ monoMs: 0, wallMs: ++wallMs }), schedule: () => ({ cancel: () => {} }) };
  const coordinator = createCoordinator({ backend: memoryBackend({ clock: ticking }) });
  const originOf = async (): Promise<unknown> => {
    const { holders } = await coordinator.inspect("e", { recipe: "election" });
    return { ...holders[0]?.origin, value: null };
  };
  const leadership = await coordinator
    .election("e", { candidate: "a" })
    .campaign({ metadata: { rack: "7" } });
  const before = await originOf();
  await leadership.proclaim("b");
  expect(await originOf()).toEqual(before);
});

it("refuses invalid options when the coordinator is made", () => {
  const backend = memoryBackend({ store });
  for (const options of [
    { backend: undefined },
    { backend: {} },
    { backend, namespace: "a/b" },
    { backend, namespace: "" },
    { backend, ttlMs: 1 },
    { backend, waitMs: Number.NaN },
    { backend, maxWaiters: 0 },
    { backend, graceMs: -1 },
    undefined,
    null,
  ])
    expect(
      () => createCoordinator(options as unknown as CoordinatorOptions),
      JSON.stringify(options),
    ).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});
