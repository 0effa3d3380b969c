import { isLeaseholdError, type Lock } from "@leasehold/core";

/** Access to a guarded number; both throw `STALE_TOKEN`. */
export interface Resource {
  /** Takes it for this token, and reads it: the first operation of every holder. */
  claim(token: bigint): Promise<number>;
  /** Answers what it holds then. */
  write(token: bigint, value: number): Promise<number>;
}

export interface GuardedResource extends Resource {
  close(): void;
}

/** One lease, as its holder saw it. */
export interface GrantRecord {
  readonly token: bigint;
  /** When `isHeld()` was true, on `process.hrtime.bigint()`, read right before the look. */
  readonly heldAtNs: readonly bigint[];
}

/** What one worker had. */
export interface Contention {
  readonly grants: readonly GrantRecord[];
  /** How many of its calls ended as `OUTCOME_UNKNOWN`. */
  readonly unknown: number;
}

/**
 * One worker: acquires, claims the resource on first touch, adds one to what it holds, releases,
 * and again, without a pause, until it is over. The value is read and written in two steps, so that
 * two holders at once would lose an update.
 */
export async function contend(lock: Lock, resource: Resource, isOver: () => boolean): Promise<Contention> {
  const grants: GrantRecord[] = [];
  let unknown = 0;
  // The contract allows it on a store that is slow to answer: it is counted, and exclusion must
  // hold all the same.
  const orUnknown = (error: unknown): null => {
    if (!isLeaseholdError(error, "OUTCOME_UNKNOWN")) throw error;
    unknown += 1;
    return null;
  };
  while (!isOver()) {
    const lease = await lock.acquire().catch(orUnknown);
    if (lease === null) continue;
    const heldAtNs: bigint[] = [];
    grants.push({ token: lease.fencingToken, heldAtNs });
    const look = (): void => {
      const atNs = process.hrtime.bigint();
      lease.assertHeld();
      heldAtNs.push(atNs);
    };
    try {
      look();
      const value = await resource.claim(lease.fencingToken);
      look();
      await resource.write(lease.fencingToken, value + 1);
      look();
    } catch (error) {
      // The resource has logged it. Going on shows how often, and by how much beliefs overlapped.
      if (!isLeaseholdError(error, "STALE_TOKEN")) throw error;
    } finally {
      await lease.release().catch(orUnknown);
    }
  }
  return { grants, unknown };
}
