import type { Session } from "../lease/session.ts";
import type { Defaults } from "./acquire-options.ts";
import { LineResource } from "./line-resource.ts";
import { lockOf, type Lock } from "./lock.ts";
import { maxCapacity } from "./semaphore.ts";

/**
 * Two locks over one resource: readers share it, and a writer has it alone. All are served in order
 * of arrival. So a stream of readers does not starve a writer, nor a stream of writers a reader.
 * Each hold has its own lease.
 *
 * Guard the resource with `FencingGuard.claim` for a writer's token, and `check` for a reader's.
 *
 * @example
 * const catalogue = coordinator.readWriteLock("catalogue");
 * await catalogue.read.run(() => readPrices());
 * await catalogue.write.run(({ fencingToken }) => writePrices(fencingToken));
 */
export interface ReadWriteLock {
  readonly name: string;
  readonly read: Lock;
  readonly write: Lock;
}

/** A line of the largest capacity. A reader's claim weighs 1, and a writer's weighs all of it. */
export function createReadWriteLock(session: Session, name: string, defaults: Defaults): ReadWriteLock {
  const line = new LineResource(session, name, { recipe: "readWriteLock", capacity: maxCapacity }, defaults);
  return { name, read: lockOf(line, 1), write: lockOf(line, maxCapacity) };
}
