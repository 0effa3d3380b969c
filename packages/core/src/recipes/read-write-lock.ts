import { LineResource, type Defaults } from "./line-resource.ts";
import { lockOf, type Lock } from "./lock.ts";
import { maxCapacity } from "./semaphore.ts";
import type { Session } from "../lease/session.ts";

/**
 * Two locks over one resource: readers share it, a writer has it alone, and all are served in order of arrival. So a stream
 * of readers does not starve a writer, nor writers a reader. Each hold has its own lease.
 *
 * A guard of the resource takes a writer's token by `claim`, and a reader's by `check`.
 */
export interface ReadWriteLock {
  readonly name: string;
  readonly read: Lock;
  readonly write: Lock;
}

/** A line of the largest capacity, of which a reader takes one and a writer all. */
export function createReadWriteLock(session: Session, name: string, defaults: Defaults): ReadWriteLock {
  const line = new LineResource(session, name, { recipe: "readWriteLock", capacity: maxCapacity }, defaults);
  return { name, read: lockOf(line, 1), write: lockOf(line, maxCapacity) };
}
