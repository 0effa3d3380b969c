import type { Clock } from "../base/clock.ts";
import { systemRandom, type Random } from "../base/random.ts";
import type { Backend } from "../contract/backend.ts";
import { MemoryIdempotencyStore } from "./idempotency-store.ts";
import { MemoryLeaseStore } from "./lease-store.ts";
import { MemoryLink } from "./link.ts";
import { MemoryStore } from "./store.ts";

export interface MemoryBackendOptions {
  /** A store to share with other backends of this process. Default: a store of its own. */
  readonly store?: MemoryStore;
  /** The clock of this backend's process. For tests. Default: the store's clock. */
  readonly clock?: Clock;
  /**
   * Where the name of this backend's inbox is drawn. For tests. Default: the system's generator.
   */
  readonly random?: Random;
}

/**
 * The in-process backend: the embedded default, and the specification that the other stores are
 * tested against. Claims live and die with this process, so it excludes callers within it, and
 * nobody else.
 *
 * @example
 * const coordinator = createCoordinator({ backend: memoryBackend() });
 */
export function memoryBackend(options: MemoryBackendOptions = {}): Backend {
  const store = options.store ?? new MemoryStore(options.clock === undefined ? {} : { clock: options.clock });
  const link = new MemoryLink(store, options.clock ?? store.clock);
  const leases = new MemoryLeaseStore(link, (options.random ?? systemRandom).hex(8));
  return {
    name: "memory",
    traits: { consistency: "linearizable", minTtlMs: 20, ttlStepMs: 1 },
    clock: link.clock,
    leases,
    idempotency: new MemoryIdempotencyStore(link),
    // A store inside the process is never out of reach.
    onDegraded: () => () => {},
    onRestored: () => () => {},
    [Symbol.asyncDispose]: async () => {
      link.close();
      leases.close();
    },
  };
}
