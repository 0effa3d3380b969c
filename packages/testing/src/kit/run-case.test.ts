import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { SimClock } from "../sim-clock.ts";
import type { Case } from "./case.ts";
import type { Fixture, Process } from "./fixture.ts";
import type { Harness } from "./harness.ts";
import { runCase } from "./run-case.ts";
import { withFaults } from "./with-faults.ts";

const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);
beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", note);
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  process.off("unhandledRejection", note);
  vi.restoreAllMocks();
});

/** Node tells of an unhandled rejection when it has run all microtasks. */
const told = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

function harnessThatStalled(stalledMs: number): Harness {
  const clock = new SimClock();
  const store = new MemoryStore({ clock });
  return {
    ttlMs: 1_000,
    concurrent: false,
    open: async () => memoryBackend({ store }),
    openThroughLink: async () => withFaults(memoryBackend({ store })),
    elapse: (ms) => clock.advance(ms),
    stalledMs: () => stalledMs,
  };
}

/** A case that is cut short by its first run. */
function cutShort(play: (fixture: Fixture) => Promise<void>): Case & { runs: () => number } {
  let runs = 0;
  return {
    name: "it is cut short",
    runs: () => runs,
    run: async (fixture) => {
      runs += 1;
      if (runs > 1) return;
      await play(fixture);
      throw new Error("cut short");
    },
  };
}

async function waiting(fixture: Fixture): Promise<{ name: string; holder: Process; waiter: Process }> {
  const name = fixture.name();
  const [holder, waiter] = [await fixture.process(), await fixture.process()];
  await holder.coordinator.lock(name).acquire();
  return { name, holder, waiter };
}

test("what a spoilt run left pending is rejected by its end, and nobody has to hear of it", async () => {
  const spoilt = cutShort(async (fixture) => {
    const { name, waiter } = await waiting(fixture);
    const { coordinator } = waiter;
    void coordinator.lock(name).acquire();
    void coordinator
      .lock(name)
      .acquire()
      .then(() => {});
    void Promise.all([coordinator.lock(name).run(() => {}), coordinator.inspect(name)]);
    void coordinator.semaphore(name, { permits: 1 }).run(() => Promise.withResolvers<void>().promise);
    const { read, write } = coordinator.readWriteLock(name);
    const writing = await write.acquire();
    void read.acquire();
    void (async () => void (await coordinator.lock(name).acquire()))();
    await fixture.inLine(waiter, 5);
    const late = writing.release();
    late.catch(() => {});
  });
  await runCase(spoilt, harnessThatStalled(500));
  await told();
  expect(spoilt.runs()).toBe(2);
  expect(unhandled).toEqual([]);
});

test("nor of what failed before the run was cut short", async () => {
  const spoilt = cutShort(async (fixture) => {
    const { name, waiter } = await waiting(fixture);
    void waiter.coordinator.lock(name).acquire({ waitMs: 10 });
    const peer = await fixture.peer();
    void peer.backend.leases.acquire(fixture.request(""));
    const behind = await fixture.processBehindLink();
    behind.link.cut();
    void behind.coordinator.inspect(name);
    await fixture.elapse(20_000);
    await told();
  });
  await runCase(spoilt, harnessThatStalled(500));
  await told();
  expect(spoilt.runs()).toBe(2);
  expect(unhandled).toEqual([]);
});

test("a case that fails is the failure, and not what it left behind", async () => {
  const failing = cutShort(async (fixture) => {
    const { name, waiter } = await waiting(fixture);
    void waiter.coordinator.lock(name).acquire();
    await fixture.inLine(waiter);
  });
  await expect(runCase(failing, harnessThatStalled(0))).rejects.toThrow("cut short");
  await told();
  expect(unhandled).toEqual([]);
});

test("a case that passes has heard of every failure", async () => {
  const careless = async (leave: (waiter: Process, name: string) => void): Promise<void> => {
    const run = async (fixture: Fixture): Promise<void> => {
      const { name, waiter } = await waiting(fixture);
      leave(waiter, name);
      await fixture.inLine(waiter);
    };
    await runCase({ name: "careless", run }, harnessThatStalled(0));
  };
  await expect(careless(({ coordinator }, name) => void coordinator.lock(name).acquire())).rejects.toThrow(
    "a call failed, and the case did not look: LeaseholdError: The coordinator was closed",
  );
  await expect(
    careless(
      ({ coordinator }, name) =>
        void coordinator
          .lock(name)
          .acquire()
          .finally(() => {}),
    ),
  ).rejects.toThrow("the case did not look");
  await careless(
    ({ coordinator }, name) =>
      void coordinator
        .lock(name)
        .acquire()
        .catch(() => {}),
  );
  await told();
  expect(unhandled).toEqual([]);
});
