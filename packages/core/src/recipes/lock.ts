import type { Lease } from "../lease/lease.ts";
import {
  LineResource,
  type AcquireOptions,
  type Defaults,
  type RunOptions,
  type TryAcquireOptions,
} from "./line-resource.ts";
import type { Session } from "../lease/session.ts";

/** A fair lock: one holder at a time, in order of arrival. Cheap to create; holds no state of its own. */
export interface Lock {
  readonly name: string;
  /**
   * Waits in line until granted. Renewed in the background until released: hold it with `await using`, or release it in a
   * `finally`.
   *
   * Rejects with `ACQUIRE_TIMEOUT` (in line, not granted within `waitMs`), `TOO_MANY_WAITERS`, `LEASE_LOST` (the place in
   * line died: the store lost it, or this process was paused for longer than the ttl), `BACKEND_UNAVAILABLE` (nothing was
   * written), `OUTCOME_UNKNOWN` (a request went unanswered; it is being withdrawn), `INVALID_ARGUMENT`, `CLOSED`, or with
   * the reason of `signal`. However it ends without a lease, it leaves no claim behind.
   */
  acquire(options?: AcquireOptions): Promise<Lease>;
  /** One round trip; null when it is held, or waited for, elsewhere. Otherwise as `acquire`. */
  tryAcquire(options?: TryAcquireOptions): Promise<Lease | null>;
  /**
   * Acquires, runs `body`, releases once the body has settled, and answers what it returned. `lease.signal` aborts when the
   * lease is lost; the body is then awaited, and `run` rejects with `LEASE_LOST`, since what the body did after the loss
   * may have met another holder's work. An error of the body's own always comes through as it is.
   */
  run<T>(body: (lease: Lease) => T | Promise<T>, options?: RunOptions): Promise<T>;
}

/** A lock is a line of capacity 1 and weight 1. */
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
