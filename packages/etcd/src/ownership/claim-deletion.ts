import type {} from "@leasehold/core";
import type { ClaimName } from "../format/claim-request.ts";
import type { Calls } from "../rpc/calls.ts";
import { hasTicket, isOwnedBy } from "../format/claim-compares.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import { Deadline } from "../rpc/deadline.ts";
import { readLine } from "../line/read-line.ts";

/**
 * What is to be deleted. Never a key by its name alone: names are used again, and a delete that
 * arrives late must not hit a later claim. What tells a claim for certain is its create revision,
 * or its value, which begins with the owner.
 */
export type Doomed =
  /** This claim. */
  | { readonly key: Buffer; readonly ticket: bigint }
  /**
   * Whatever claim of this owner the key holds: an acquire was not answered, so its ticket is not
   * known (rule R2).
   */
  | { readonly key: Buffer; readonly owner: string }
  /**
   * Whatever the owner has on the resource: it was not acquired by this process, so all must be
   * looked for.
   */
  | ClaimName;

/** Deletes it if it is there. True when it was. */
export async function deleteClaim(
  calls: Calls,
  keys: ClaimKeys,
  doomed: Doomed,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = new Deadline(calls.clock, timeoutMs);
  const found = "key" in doomed ? doomed : await find(calls, keys, doomed, timeoutMs);
  if (found === undefined) return false;
  const { key } = found;
  const compare = "ticket" in found ? [hasTicket(key, found.ticket)] : isOwnedBy(key, found.owner);
  const { succeeded } = await calls.unary(
    ({ kv }, options) => kv.txn({ compare, success: [{ request_delete_range: { key } }] }, options),
    deadline.leftMs,
    { turn: "ends" },
  );
  return succeeded;
}

async function find(
  calls: Calls,
  keys: ClaimKeys,
  { resource, owner }: ClaimName,
  timeoutMs: number,
): Promise<{ key: Buffer; ticket: bigint } | undefined> {
  const line = await readLine(calls, keys, resource, timeoutMs, { values: true, turn: "ends" });
  return line.ofOwner(owner);
}
