import { LeaseholdError } from "@leasehold/core";
import type { Calls } from "../rpc/calls.ts";
import type { ICompare, IKeyValue, IRequestOp, ITxnResponse } from "etcd3";
import { isEmpty, isUnchanged } from "../format/claim-compares.ts";
import { hasLease, rangeIn } from "../format/answers.ts";
import {
  decodeOwnerValue,
  decodeRecordValue,
  type OwnerValue,
  type RecordValue,
} from "../format/record-value.ts";

/** When a key was last written, and on which lease it is. */
interface Written {
  readonly revision: bigint;
  /** As etcd writes it: decimal digits. */
  readonly leaseId: string;
}

export interface SeenRecord extends RecordValue, Written {
  /** Of the execution that is, or was, the last one. */
  readonly token: bigint;
}

export interface SeenOwner extends OwnerValue, Written {}

/**
 * A record and the key of its owner, as of one revision.
 *
 * Whoever writes the owner's key compares the record in the same transaction, and whoever ends an
 * execution deletes it. So while a record is in progress, its owner's key is that of the present
 * execution, or it is gone, with its lease.
 */
export interface Seen {
  readonly record: SeenRecord | null;
  readonly owner: SeenOwner | null;
}

export const nothingSeen: Seen = { record: null, owner: null };

/** The two keys of one record. */
export interface Place {
  readonly recordKey: Buffer;
  readonly ownerKey: Buffer;
}

/** The reads whose answers `seenIn` understands. */
export function lookAt({ recordKey, ownerKey }: Place): IRequestOp[] {
  return [{ request_range: { key: recordKey } }, { request_range: { key: ownerKey } }];
}

/**
 * Throws a `MalformedRecord` for what this backend cannot have written: nobody can say what has
 * become of such a record.
 */
export function seenIn(answer: ITxnResponse): Seen {
  const seen = { record: recordIn(rangeIn(answer, 0).kvs[0]), owner: ownerIn(rangeIn(answer, 1).kvs[0]) };
  if (seen.record !== null && seen.owner !== null && !isOfPresent(seen.record, seen.owner))
    throw new MalformedRecord("its owner's key is of an execution that is not the record's");
  return seen;
}

/** A record and its owner's key, as of one revision; to keep the execution alive. */
export async function readRecord(calls: Calls, place: Place, timeoutMs: number): Promise<Seen> {
  const reads = { compare: [], success: lookAt(place) };
  return seenIn(
    await calls.unary(({ kv }, options) => kv.txn(reads, options), timeoutMs, { turn: "renewals" }),
  );
}

/** Holds while both keys are as they were seen. */
export function isAsSeen({ recordKey, ownerKey }: Place, { record, owner }: Seen): ICompare[] {
  return [isSame(recordKey, record), isSame(ownerKey, owner)];
}

/**
 * The error for a record that this backend did not write. It is never touched: it may mean
 * something to somebody.
 */
export class MalformedRecord extends LeaseholdError {
  constructor(why: string) {
    super(
      "BACKEND_UNAVAILABLE",
      `etcd holds a record that Leasehold did not write: ${why}. Remove it by hand.`,
      {
        permanent: true,
      },
    );
  }
}

function isSame(key: Buffer, seen: Written | null): ICompare {
  return seen === null ? isEmpty({ key }) : isUnchanged(key, seen.revision);
}

function isOfPresent({ state, owner }: SeenRecord, present: SeenOwner): boolean {
  return state === "in-progress" && owner === present.owner;
}

/** A key without a lease would never end, so it is not ours. */
function recordIn(kv: IKeyValue | undefined): SeenRecord | null {
  if (kv === undefined) return null;
  const value = decodeRecordValue(kv.value);
  if (value === undefined || !hasLease(kv))
    throw new MalformedRecord("its value is of another format or version");
  const revision = BigInt(kv.mod_revision);
  return { ...value, token: value.token ?? revision, revision, leaseId: String(kv.lease) };
}

function ownerIn(kv: IKeyValue | undefined): SeenOwner | null {
  if (kv === undefined) return null;
  const value = decodeOwnerValue(kv.value);
  if (value === undefined || !hasLease(kv))
    throw new MalformedRecord("its owner's key is of another format or version");
  return { ...value, revision: BigInt(kv.mod_revision), leaseId: String(kv.lease) };
}
