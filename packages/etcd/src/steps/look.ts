import type { HolderView, Look, LookOptions } from "@leasehold/core";
import type { Parts } from "./parts.ts";
import { readLine } from "../line/read-line.ts";

/**
 * Who holds. One read: etcd deletes the keys of the dead, and a watch tells of it, so nobody's
 * lease is asked about. With `first` only the head of the line is read.
 */
export async function lookAtResource(
  { calls, keys }: Parts,
  resource: string,
  { timeoutMs, first }: LookOptions,
): Promise<Look> {
  const whole = { values: true };
  const options = first === undefined ? whole : { ...whole, oldest: first };
  let line = await readLine(calls, keys, resource, timeoutMs, options);
  // Strange keys may stand where the oldest claims were looked for.
  if (first !== undefined && line.isStrange) line = await readLine(calls, keys, resource, timeoutMs, whole);
  const holders = line.claims
    .filter(({ granted }) => granted)
    .slice(0, first)
    .map(({ ticket, weight, record }): HolderView => ({ ...record, ticket, weight }));
  return { whole: true, holders, gone: [], endsInMs: Infinity };
}
