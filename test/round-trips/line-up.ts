import type { Coordinator, Lease, LeaseholdEvent } from "@leasehold/core";

/** Hears a coordinator's events: pass `hear` as its `onEvent`. */
export class Ear {
  readonly #counts = new Map<string, number>();
  readonly #waiting = new Set<() => void>();

  readonly hear = (event: LeaseholdEvent): void => {
    this.#counts.set(event.type, this.count(event.type) + 1);
    for (const look of this.#waiting) look();
  };

  count(type: LeaseholdEvent["type"]): number {
    return this.#counts.get(type) ?? 0;
  }

  /**
   * Resolves when `count` events of this type were heard in all. The test's own time limit bounds
   * it.
   */
  heard(type: LeaseholdEvent["type"], count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      if (this.count(type) < count) return;
      this.#waiting.delete(look);
      resolve();
    };
    this.#waiting.add(look);
    look();
    return promise;
  }
}

/**
 * One after the other, `count` acquires join the line for `name`, each only when the one before it
 * stands there.
 */
export async function lineUp(
  coordinator: Coordinator,
  ear: Ear,
  name: string,
  count: number,
): Promise<Promise<Lease>[]> {
  const before = ear.count("queued");
  const waits: Promise<Lease>[] = [];
  for (let index = 1; index <= count; index += 1) {
    const wait = coordinator.lock(name).acquire();
    // Handled here too: one that fails early must not end the process before the test has looked at
    // it.
    wait.catch(() => {});
    waits.push(wait);
    await Promise.race([ear.heard("queued", before + index), wait]);
  }
  return waits;
}

/**
 * The line moves in the order in which it was joined, one lease at a time, each with a higher
 * token.
 */
export async function passAlong(
  waits: readonly Promise<Lease>[],
): Promise<{ order: number[]; tokens: bigint[] }> {
  const order: number[] = [];
  const tokens: bigint[] = [];
  await Promise.all(
    waits.map(async (wait, index) => {
      const lease = await wait;
      lease.assertHeld();
      order.push(index);
      tokens.push(lease.fencingToken);
      await lease.release();
    }),
  );
  return { order, tokens };
}
