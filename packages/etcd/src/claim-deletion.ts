import type { ClaimRef } from "@leasehold/core";
import type { ICompare } from "etcd3";
import type { Calls } from "./calls.ts";
import type { ClaimKeys } from "./claim-keys.ts";
import { Deadline } from "./deadline.ts";
import { readLine } from "./read-line.ts";

/**
 * What is to be deleted. Never a key by its name alone: names are used again, and a delete that arrives late must not hit a
 * later claim. What tells a claim for certain is its create revision, or its value, which names the owner.
 */
export type Doomed =
  /** This claim. */
  | { readonly key: Buffer; readonly ticket: bigint }
  /** Whatever claim of this owner the key holds: an acquire was not answered, so its ticket is not known (rule R2). */
  | { readonly key: Buffer; readonly stored: Buffer }
  /** Whatever the owner has on the resource: it was not acquired by this process, so all must be looked for. */
  | ClaimRef;

/** Deletes it if it is there. True when it was. */
export async function deleteClaim(
  calls: Calls,
  keys: ClaimKeys,
  doomed: Doomed,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = new Deadline(calls.clock, timeoutMs);
  const found = "owner" in doomed ? await find(calls, keys, doomed, timeoutMs) : doomed;
  if (found === undefined) return false;
  const { key } = found;
  const compare: ICompare =
    "ticket" in found
      ? { key, target: "Create", result: "Equal", create_revision: String(found.ticket) }
      : { key, target: "Value", result: "Equal", value: found.stored };
  const { succeeded } = await calls.unary(
    ({ kv }, options) =>
      kv.txn({ compare: [compare], success: [{ request_delete_range: { key } }] }, options),
    deadline.leftMs,
  );
  return succeeded;
}

async function find(
  calls: Calls,
  keys: ClaimKeys,
  { resource, owner }: ClaimRef,
  timeoutMs: number,
): Promise<{ key: Buffer; ticket: bigint } | undefined> {
  const line = await readLine(calls, keys, resource, timeoutMs, { values: true });
  return line.ofOwner(owner);
}
