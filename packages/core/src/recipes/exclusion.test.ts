import assert from "node:assert/strict";

import { SimClock, withFaults, type Link, type StoreCall } from "@leasehold/testing";
import fc from "fast-check";
import { expect, it } from "vitest";

import { createCoordinator, type Coordinator } from "../coordinator.ts";
import { createFencingGuard, type FencingGuard } from "../fencing-guard.ts";
import type { Lease } from "../lease/lease.ts";
import { memoryBackend, MemoryStore } from "../memory/index.ts";

const ttlMs = 1_000;
const name = "contended";
const runs = 2_000;

/** One process: a coordinator behind a link of its own, with its leases and pending calls. */
interface Process {
  readonly coordinator: Coordinator;
  readonly link: Link;
  readonly leases: Set<Lease>;
  readonly aborters: Set<AbortController>;
  pending: number;
}

class World {
  readonly clock: SimClock = new SimClock();
  readonly store: MemoryStore = new MemoryStore({ clock: this.clock });
  readonly guard: FencingGuard = createFencingGuard();
  readonly processes: readonly Process[] = [this.process(), this.process(), this.process()];
  grants = 0;

  process(): Process {
    const { backend, link } = withFaults(memoryBackend({ store: this.store }));
    const coordinator = createCoordinator({ backend, ttlMs, waitMs: 8_000 });
    return { coordinator, link, leases: new Set(), aborters: new Set(), pending: 0 };
  }

  acquire(process: Process): void {
    const aborter = new AbortController();
    process.aborters.add(aborter);
    process.pending += 1;
    process.coordinator
      .lock(name)
      .acquire({ signal: aborter.signal })
      .then(
        (lease) => {
          this.grants += 1;
          process.leases.add(lease);
        },
        () => {},
      )
      .finally(() => {
        process.pending -= 1;
        process.aborters.delete(aborter);
      });
  }

  release(process: Process): void {
    for (const lease of process.leases) {
      process.leases.delete(lease);
      lease.release().catch(() => {});
      return;
    }
  }

  /** The promise itself, at this moment: at most one holder, and never an earlier one again. */
  check(): void {
    const believers = this.processes.flatMap(({ leases }) => [...leases].filter((lease) => lease.isHeld()));
    assert.ok(believers.length <= 1, `${believers.length} believe that they hold it`);
    for (const lease of believers) this.guard.claim(lease.fencingToken);
  }

  /** Every link works again. Then every call settles, and the next caller gets the lock. */
  async recover(): Promise<void> {
    for (const { link } of this.processes) {
      link.slow(0);
      await link.heal();
    }
    for (let passedMs = 0; passedMs < 10_000; passedMs += 100) {
      for (const process of this.processes) this.release(process);
      await this.clock.advance(100);
      this.check();
    }
    assert.deepEqual(
      this.processes.map(({ pending }) => pending),
      [0, 0, 0],
      "every acquire call has settled",
    );
    const next = this.process();
    const attempt = next.coordinator.lock(name).acquire();
    await this.clock.advance(2 * ttlMs);
    this.guard.claim((await attempt).fencingToken);
    await this.close(next);
    for (const process of this.processes) await this.close(process);
    assert.equal(this.clock.pending, 0, "no timer is left");
  }

  async close({ coordinator }: Process): Promise<void> {
    const closed = coordinator.close();
    await this.clock.advance(12_000);
    await closed;
  }
}

type Step = (world: World) => void | Promise<void>;

const who = fc.nat(2);
const calls = fc.constantFrom<StoreCall>("acquire", "renew", "release");
const pick = (act: (process: Process, world: World) => void | Promise<void>): fc.Arbitrary<[string, Step]> =>
  who.map((index): [string, Step] => [
    `${act.name} ${index}`,
    (world) => act(world.processes[index]!, world),
  ]);

const steps: fc.Arbitrary<[string, Step]> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .integer({ min: 1, max: 700 })
      .map((ms): [string, Step] => [`pass ${ms}`, (world) => world.clock.advance(ms)]),
  },
  {
    weight: 4,
    arbitrary: pick(function acquire(process, world) {
      world.acquire(process);
    }),
  },
  {
    weight: 3,
    arbitrary: pick(function release(process, world) {
      world.release(process);
    }),
  },
  {
    weight: 1,
    arbitrary: pick(function abort(process) {
      for (const aborter of process.aborters) aborter.abort();
    }),
  },
  {
    weight: 2,
    arbitrary: pick(function cut(process) {
      process.link.cut();
    }),
  },
  {
    weight: 1,
    arbitrary: pick(function hold(process) {
      process.link.holdRequests();
    }),
  },
  {
    weight: 1,
    arbitrary: pick(function newConnection(process) {
      process.link.newConnectionsPass();
    }),
  },
  {
    weight: 1,
    arbitrary: pick(function deliver(process) {
      return process.link.deliverHeld();
    }),
  },
  {
    weight: 1,
    arbitrary: pick(function dropPushes(process) {
      process.link.dropPushes?.();
    }),
  },
  {
    weight: 2,
    arbitrary: pick(function heal(process) {
      return process.link.heal();
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(who, fc.nat(400))
      .map(([index, ms]): [string, Step] => [
        `slow ${index} ${ms}`,
        (world) => world.processes[index]!.link.slow(ms),
      ]),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(who, calls).map(([index, call]): [string, Step] => [
      `lose ${call} ${index}`,
      (world) => {
        void world.processes[index]!.link.loseReplyTo(call, name);
      },
    ]),
  },
  {
    weight: 1,
    arbitrary: fc.nat(2_500).map((ms): [string, Step] => [`block ${ms}`, (world) => world.clock.block(ms)]),
  },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: -5_000, max: 5_000 })
      .map((ms): [string, Step] => [`step wall ${ms}`, (world) => world.clock.stepWall(ms)]),
  },
);

it("never has two holders, whatever the links do, and serves everybody once they work again", async () => {
  let grants = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 10, maxLength: 100 }), async (script) => {
      const world = new World();
      for (const [, step] of script) {
        await step(world);
        world.check();
        await world.clock.advance(0);
        world.check();
      }
      await world.recover();
      grants += world.grants;
    }),
    { numRuns: runs },
  );
  // A run in which nobody was granted anything proves nothing.
  expect(grants).toBeGreaterThan(runs);
}, 120_000);
