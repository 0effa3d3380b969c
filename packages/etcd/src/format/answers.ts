import type { IKeyValue, IRangeResponse, ITxnResponse } from "etcd3";
import { RpcFailure } from "../rpc/failure.ts";

/** What the read at `index` of a transaction gave. */
export function rangeIn({ responses }: ITxnResponse, index: number): IRangeResponse {
  const range = responses[index]?.response_range;
  if (range) return range;
  throw new RpcFailure("unanswered", "etcd answered a transaction with something else than what was asked");
}

/**
 * A claim without a lease would never die, so it is not one. By number: etcd3 tells "no lease" as 0
 * where it cannot load
 * `long`, and as "0" elsewhere.
 */
export function hasLease({ lease }: IKeyValue): boolean {
  return Number(lease) !== 0;
}
