import type { Lease } from "../lease/lease.ts";
import type { Session } from "../lease/session.ts";
import type { AcquireOptions, Defaults, RunOptions, TryAcquireOptions } from "./acquire-options.ts";
import { LineResource } from "./line-resource.ts";

/**
 * A fair lock: one holder at a time, in order of arrival. A lock is cheap to create, and holds no
 * state of its own.
 */
export interface Lock {
  readonly name: string;
  /**
   * Waits in line until granted. The SDK renews the lease in the background until it is released:
   * hold it with `await using`, or release it in a `finally`.
   *
   * Where its place in line dies, because the store lost it or this process was paused for longer
   * than the ttl, the call joins again, behind those who wait by then, for the rest of `waitMs`.
   * The event `requeued` tells so.
   *
   * Rejects with:
   * - `ACQUIRE_TIMEOUT`: in line, but not granted within `waitMs`;
   * - `TOO_MANY_WAITERS`: the line, or this process, has as many as it may have;
   * - `LEASE_LOST`: an operator evicted it from the line;
   * - `BACKEND_UNAVAILABLE`: the store is out of reach, and nothing was written;
   * - `OUTCOME_UNKNOWN`: a request went unanswered; it is being withdrawn;
   * - `INVALID_ARGUMENT`, `CLOSED`, or the reason of `signal`.
   *
   * However it ends without a lease, it leaves no claim behind.
   *
   * @example
   * await using lease = await coordinator.lock("order:42").acquire({ waitMs: 5_000 });
   * await orders.update(42, { fencingToken: lease.fencingToken });
   */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /**
   * Asks once. Resolves to null when somebody else holds the lock, or waits for it. Rejects as
   * `acquire` does.
   *
   * @example
   * await using lease = await coordinator.lock("nightly-report").tryAcquire();
   * if (lease !== null) await sendReport();
   */
  tryAcquire(options?: TryAcquireOptions): Promise<Lease | null>;
  /**
   * Acquires, runs `body`, releases once the body has settled, and resolves to what it returned.
   *
   * `lease.signal` aborts when the lease is lost. The body is then awaited, and `run` rejects with
   * `LEASE_LOST`: what the body did after the loss may have met another holder's work. An error of
   * the body's own always comes through as it is. Otherwise rejects as `acquire` does.
   *
   * @example
   * const total = await coordinator.lock("order:42").run(async ({ signal, fencingToken }) =>
   *   charge(42, { signal, fencingToken }),
   * );
   */
  run<T>(body: (lease: Lease) => T | Promise<T>, options?: RunOptions): Promise<T>;
}

/** A lock is a line of capacity 1, whose claims weigh 1. */
export function createLock(session: Session, name: string, defaults: Defaults): Lock {
  const line = new LineResource(session, name, { recipe: "lock", capacity: 1 }, defaults);
  return lockOf(line, 1);
}

/** The verbs of a lock, for claims of one weight on a line. */
export function lockOf(line: LineResource, weight: number): Lock {
  return {
    name: line.name,
    acquire: async (options = {}) => line.acquire({ weight }, options),
    tryAcquire: async (options = {}) => line.claim({ weight }, { ...options, waitMs: 0 }),
    run: async (body, options = {}) => line.run({ weight }, body, options),
  };
}
