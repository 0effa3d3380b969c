import type { IRangeResponse } from "etcd3";
import type { Calls } from "../rpc/calls.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import { Line, type LineClaim } from "./line.ts";

/**
 * Everything on the resource, or so many of its oldest claims, whatever their capacity, as of one
 * revision. Linearizable, as every read here (F25).
 */
export async function readLine(
  calls: Calls,
  keys: ClaimKeys,
  resource: string,
  timeoutMs: number,
  options: { values?: boolean; oldest?: number } = {},
): Promise<Line> {
  const { values = false, oldest } = options;
  const order = { sort_order: "Ascend", sort_target: "Create" } as const;
  const { kvs, header } = await calls.unary(
    ({ kv }, callOptions) =>
      kv.range(
        {
          ...keys.resource(resource),
          keys_only: !values,
          ...(oldest !== undefined && { ...order, limit: oldest }),
        },
        callOptions,
      ),
    timeoutMs,
  );
  return new Line(keys, kvs, BigInt(header.revision));
}

/** A claim of which only its key was read: where it stands is not known. */
export type LoneClaim = Omit<LineClaim, "ahead" | "granted">;

/** The claim under this key, whoever owns it. */
export async function readClaim(
  calls: Calls,
  keys: ClaimKeys,
  key: Buffer,
  timeoutMs: number,
): Promise<LoneClaim | undefined> {
  return claimIn(keys, await calls.unary(({ kv }, options) => kv.range({ key }, options), timeoutMs));
}

/** The claim in a read of one key. */
export function claimIn(keys: ClaimKeys, read: IRangeResponse | null | undefined): LoneClaim | undefined {
  return read ? new Line(keys, read.kvs, 0n).claims[0] : undefined;
}
