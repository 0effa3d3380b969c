import { checkCount } from "../base/arguments.ts";
import type { Lease } from "../lease/lease.ts";
import {
  LineResource,
  type AcquireOptions,
  type Defaults,
  type RunOptions,
  type TryAcquireOptions,
} from "./line-resource.ts";
import type { Session } from "../lease/session.ts";

/** The largest capacity that a line can have. */
export const maxCapacity: number = 2 ** 31 - 1;

interface Permits {
  /** How many permits this claim takes, from 1 to all of them. Default 1. */
  readonly permits?: number;
}

/**
 * A fair semaphore: holders whose permits add up to no more than there are, in order of arrival. Nobody overtakes: a claim
 * for many permits is not starved by claims for one. Permits of a crashed holder come back after its ttl.
 *
 * Its tokens identify holders, and do not order their writes: several may hold at once.
 */
export interface Semaphore {
  readonly name: string;
  readonly permits: number;
  /** As `Lock.acquire`; also rejects with `SHAPE_MISMATCH` while others use this name with another number of permits. */
  acquire(options?: AcquireOptions & Permits): Promise<Lease>;
  /** As `Lock.tryAcquire`: null when they do not fit, or somebody waits. */
  tryAcquire(options?: TryAcquireOptions & Permits): Promise<Lease | null>;
  /** As `Lock.run`. */
  run<T>(body: (lease: Lease) => T | Promise<T>, options?: RunOptions & Permits): Promise<T>;
}

/** A semaphore of N is a line of capacity N; a claim weighs the permits asked for. */
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
