import { checkCount } from "../base/arguments.ts";
import type { Lease } from "../lease/lease.ts";
import type { Session } from "../lease/session.ts";
import type { AcquireOptions, Defaults, RunOptions, TryAcquireOptions } from "./acquire-options.ts";
import { LineResource } from "./line-resource.ts";

/** The largest capacity that a line can have. */
export const maxCapacity: number = 2 ** 31 - 1;

interface Permits {
  /** How many permits this claim takes, from 1 to all of them. Default 1. */
  readonly permits?: number;
}

/**
 * A fair semaphore: the permits of all holders never add up to more than there are. Claims are
 * granted in order of arrival, and nobody overtakes: a claim for many permits is not starved by
 * claims for one. The permits of a crashed holder come back after its ttl.
 *
 * The fencing tokens of a semaphore identify its holders. They do not order their writes, since
 * several may hold at once.
 */
export interface Semaphore {
  readonly name: string;
  readonly permits: number;
  /**
   * Waits in line until its permits are granted, as `Lock.acquire` does. Rejects also with
   * `SHAPE_MISMATCH` while others use this name with another number of permits.
   *
   * @example
   * const uploads = coordinator.semaphore("uploads", { permits: 10 });
   * await using lease = await uploads.acquire({ permits: 3 });
   */
  acquire(options?: AcquireOptions & Permits): Promise<Lease>;
  /**
   * Asks once, as `Lock.tryAcquire` does. Resolves to null when the permits are not free, or
   * somebody waits.
   *
   * @example
   * await using lease = await uploads.tryAcquire();
   * if (lease === null) return reply.code(429).send("too many uploads");
   */
  tryAcquire(options?: TryAcquireOptions & Permits): Promise<Lease | null>;
  /**
   * Runs `body` while it holds permits, as `Lock.run` does.
   *
   * @example
   * await uploads.run(({ signal }) => upload(file, { signal }), { permits: 2 });
   */
  run<T>(body: (lease: Lease) => T | Promise<T>, options?: RunOptions & Permits): Promise<T>;
}

/** A semaphore of N is a line of capacity N. A claim weighs the permits asked for. */
export function createSemaphore(
  session: Session,
  name: string,
  permits: number,
  defaults: Defaults,
): Semaphore {
  const capacity = checkCount("permits", permits, maxCapacity);
  const line = new LineResource(session, name, { recipe: "semaphore", capacity }, defaults);
  const details = (options: Permits): { weight: number } => ({
    weight: checkCount("permits", options.permits ?? 1, capacity),
  });
  return {
    name,
    permits: capacity,
    acquire: async (options = {}) => line.acquire(details(options), options),
    tryAcquire: async (options = {}) => line.claim(details(options), { ...options, waitMs: 0 }),
    run: async (body, options = {}) => line.run(details(options), body, options),
  };
}
