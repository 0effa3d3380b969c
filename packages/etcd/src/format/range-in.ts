import type { IRangeResponse, ITxnResponse } from "etcd3";
import { RpcFailure } from "../rpc/failure.ts";

/** What the read at `index` of a transaction gave. */
export function rangeIn({ responses }: ITxnResponse, index: number): IRangeResponse {
  const range = responses[index]?.response_range;
  if (range) return range;
  throw new RpcFailure("unanswered", "etcd answered a transaction with something else than what was asked");
}
