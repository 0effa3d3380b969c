import type { Calls } from "./calls.ts";
import type { ClaimKeys } from "./claim-keys.ts";
import { Deadline } from "./deadline.ts";
import { readLine } from "./read-line.ts";
import type { Leftover } from "./roster.ts";

/**
 * Deletes whatever the owner has on the resource, under any ticket (rule R2): an owner belongs to one acquire call, and is
 * never used again, so nobody else's claim can be meant, and a copy of this request that arrives late harms nobody. True
 * when there was a claim.
 */
export async function deleteClaim(
  calls: Calls,
  keys: ClaimKeys,
  { resource, owner, capacity }: Leftover,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = new Deadline(calls.clock, timeoutMs);
  const shape = capacity ?? (await capacityOf(calls, keys, resource, owner, timeoutMs));
  if (shape === undefined) return false;
  const { deleted } = await calls.unary(
    ({ kv }, options) => kv.deleteRange(keys.own(resource, shape, owner), options),
    deadline.leftMs,
  );
  return Number(deleted) > 0;
}

/** For a claim that this process has not acquired: its capacity is a part of its key. */
async function capacityOf(
  calls: Calls,
  keys: ClaimKeys,
  resource: string,
  owner: string,
  timeoutMs: number,
): Promise<number | undefined> {
  const line = await readLine(calls, keys, resource, timeoutMs);
  return line.find(owner)?.capacity;
}
