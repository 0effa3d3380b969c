import type { ICompare } from "etcd3";
import type { KeyRange } from "./claim-keys.ts";
import { recordFrom } from "./claim-record.ts";

/**
 * Holds when there is no such key: etcd compares an absent key as one that was created at revision
 * 0.
 */
export function isEmpty(range: KeyRange | { key: Buffer }): ICompare {
  return { ...range, target: "Create", result: "Equal", create_revision: "0" };
}

/** Holds when the key is this very claim, whatever has become of its value and its lease. */
export function hasTicket(key: Buffer, ticket: bigint): ICompare {
  return { key, target: "Create", result: "Equal", create_revision: String(ticket) };
}

/**
 * Holds when the key is a claim of this owner, whatever its ticket, and whatever was proposed for
 * it since: every record begins with its owner and a colon, of which `;` is the successor.
 */
export function isOwnedBy(key: Buffer, owner: string): ICompare[] {
  return [
    { key, target: "Value", result: "Greater", value: Buffer.from(`${owner}:`) },
    { key, target: "Value", result: "Less", value: Buffer.from(`${owner};`) },
  ];
}

/** Holds when the value of the key, a claim of this owner, has a lower sequence. */
export function isBefore(key: Buffer, owner: string, sequence: number): ICompare {
  return { key, target: "Value", result: "Less", value: Buffer.from(recordFrom(owner, sequence)) };
}

/** Holds when the key hangs on this lease. */
export function isOnLease(key: Buffer, leaseId: string): ICompare {
  return { key, target: "Lease", result: "Equal", lease: leaseId };
}

/** Holds when nobody has written the key since. */
export function isUnchanged(key: Buffer, revision: bigint): ICompare {
  return { key, target: "Mod", result: "Equal", mod_revision: String(revision) };
}
