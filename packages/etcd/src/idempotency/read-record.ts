import type { Calls } from "../rpc/calls.ts";
import { lookAt, seenIn, type Place, type Seen } from "./seen-record.ts";

/** A record and its owner's key, as of one revision. */
export async function readRecord(calls: Calls, place: Place, timeoutMs: number): Promise<Seen> {
  const reads = { compare: [], success: lookAt(place) };
  return seenIn(await calls.unary(({ kv }, options) => kv.txn(reads, options), timeoutMs));
}
