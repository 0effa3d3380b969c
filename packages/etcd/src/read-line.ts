import type { Calls } from "./calls.ts";
import type { ClaimKeys } from "./claim-keys.ts";
import { Line, type LineClaim } from "./line.ts";

/** Everything on the resource, whatever its capacity, as of one revision. Linearizable, as every read here (F25). */
export async function readLine(
  calls: Calls,
  keys: ClaimKeys,
  resource: string,
  timeoutMs: number,
  options: { values?: boolean } = {},
): Promise<Line> {
  const { kvs, header } = await calls.unary(
    ({ kv }, callOptions) =>
      kv.range({ ...keys.resource(resource), keys_only: options.values !== true }, callOptions),
    timeoutMs,
  );
  return new Line(keys, kvs, BigInt(header.revision));
}

/** The claim under this key, whoever owns it; where it stands is not known. */
export async function readClaim(
  calls: Calls,
  keys: ClaimKeys,
  key: Buffer,
  timeoutMs: number,
): Promise<Pick<LineClaim, "ticket" | "owner" | "leaseId"> | undefined> {
  const { kvs, header } = await calls.unary(({ kv }, options) => kv.range({ key }, options), timeoutMs);
  return new Line(keys, kvs, BigInt(header.revision)).claims[0];
}
