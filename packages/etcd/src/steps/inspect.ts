import type { CallOptions, ClaimView, Snapshot } from "@leasehold/core";
import type { Parts } from "./parts.ts";
import { Deadline } from "../rpc/deadline.ts";
import type { LineClaim } from "../line/line.ts";
import { readLine } from "../line/read-line.ts";

/** Leases are asked about so many at a time. */
const atOnce = 32;

/**
 * Who holds and who waits. One read of the line, and one question per lease of another process: the
 * time left of ours is known here.
 *
 * `remainingMs` of our own claims is what the last acknowledgement proves. That of others is
 * rounded up to the next second, which is how precisely etcd tells.
 */
export async function inspectResource(
  { calls, keys, leases }: Parts,
  resource: string,
  { timeoutMs }: CallOptions,
): Promise<Snapshot> {
  const deadline = new Deadline(calls.clock, timeoutMs);
  const line = await readLine(calls, keys, resource, timeoutMs, { values: true });

  const remaining = new Map<string, number>();
  for (const lease of leases.ours) if (lease.remainingMs > 0) remaining.set(lease.id, lease.remainingMs);
  const foreign = [...new Set(line.claims.map(({ leaseId }) => leaseId))].filter((id) => !remaining.has(id));
  for (let from = 0; from < foreign.length; from += atOnce) {
    const batch = foreign.slice(from, from + atOnce);
    await Promise.all(
      batch.map(async (id) => {
        const { TTL, grantedTTL } = await calls.unary(
          ({ leaseClient }, options) => leaseClient.leaseTimeToLive({ ID: id }, options),
          deadline.leftMs,
        );
        // A lease that has ended takes its claims with it: they are dead, though the read still saw
        // them (rule R6).
        if (Number(TTL) >= 0) remaining.set(id, Math.min(Number(TTL) + 1, Number(grantedTTL)) * 1000);
      }),
    );
  }

  const view = ({ ticket, weight, record, leaseId }: LineClaim): ClaimView => {
    return { ...record, ticket, weight, remainingMs: Math.ceil(remaining.get(leaseId) ?? 0) };
  };
  const living = line.claims.filter(({ leaseId }) => remaining.has(leaseId));
  return {
    holders: living.filter(({ granted }) => granted).map(view),
    line: living.filter(({ granted }) => !granted).map(view),
  };
}
