import type { IRangeResponse } from "etcd3";
import type { Calls, UnaryOptions } from "../rpc/calls.ts";
import type { ClaimKeys } from "../format/claim-keys.ts";
import { Line, type LineClaim } from "./line.ts";
import { meetStrange } from "./strange-keys.ts";

/** How long the removal of litter may take, which nobody waits for. */
const removalTimeoutMs = 2_000;

/**
 * Everything on the resource, or so many of its oldest claims, whatever their capacity, as of one
 * revision. Linearizable, as every read here (F25). What is there and is no claim is told; see
 * `meetStrange`. In a part of the line it is not: whoever finds some there reads the whole.
 */
export async function readLine(
  calls: Calls,
  keys: ClaimKeys,
  resource: string,
  timeoutMs: number,
  options: { values?: boolean; oldest?: number; turn?: UnaryOptions["turn"] } = {},
): Promise<Line> {
  const { values = false, oldest, turn = "ordinary" } = options;
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
    { turn },
  );
  const line = new Line(keys, kvs, BigInt(header.revision));
  const garbled = values ? line.claims.filter(isGarbled).length : 0;
  if (oldest === undefined) void meetStrange(calls, resource, line, garbled, removalTimeoutMs);
  return line;
}

/** A claim of which only its key was read: where it stands is not known. */
export type LoneClaim = Omit<LineClaim, "ahead" | "granted">;

/**
 * The claim under this key of the resource, whoever owns it. If what is there is litter, it has
 * been removed by the time that this resolves.
 */
export async function readClaim(
  calls: Calls,
  keys: ClaimKeys,
  { resource, key }: { readonly resource: string; readonly key: Buffer },
  timeoutMs: number,
  { turn = "ordinary" }: Pick<UnaryOptions, "turn"> = {},
): Promise<LoneClaim | undefined> {
  const { kvs } = await calls.unary(({ kv }, options) => kv.range({ key }, options), timeoutMs, { turn });
  const line = new Line(keys, kvs, 0n);
  await meetStrange(calls, resource, line, line.claims.filter(isGarbled).length, timeoutMs);
  return line.claims[0];
}

/** The claim in a read of one key. */
export function claimIn(keys: ClaimKeys, read: IRangeResponse | null | undefined): LoneClaim | undefined {
  return read ? new Line(keys, read.kvs, 0n).claims[0] : undefined;
}

function isGarbled({ record }: LineClaim): boolean {
  return record.owner === "";
}
