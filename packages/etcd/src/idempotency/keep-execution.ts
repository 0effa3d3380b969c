import { type ExtendReply, type ExtendRequest, type Proof } from "@leasehold/core";
import { Deadline } from "../rpc/deadline.ts";
import { RpcFailure, toLeaseholdError } from "../rpc/failure.ts";
import { SharedLease } from "../leases/shared-lease.ts";
import type { Execution } from "./executions.ts";
import { tries, type Parts } from "./parts.ts";
import { encodeOwnerValue } from "../format/record-value.ts";
import { readRecord, isAsSeen, type Seen } from "./seen-record.ts";

export type Kept =
  | { readonly kind: "kept"; readonly proof: Proof }
  /** Another has taken over, or it is finished. */
  | { readonly kind: "fenced" }
  /** There is no record. */
  | { readonly kind: "missing" };

interface Terms {
  readonly token: bigint;
  readonly retentionMs: number;
}

/**
 * Refreshes an execution, without writing the record: its revision is the token.
 *
 * Its owner's key hangs on the shared lease of this process, so the refresh is that lease's
 * keepalive, one for all executions and claims that ask within a sixth of its life. What is asked
 * for each is whether that still is so: one read, under way together with the keepalive. That is
 * enough, in whatever order they are carried out: a key that was seen on a lease goes when that
 * lease ends, and not before, unless this process deletes it (see `keyInDoubt`) or somebody removes
 * it by hand, which is the same as a removal right after a sound refresh, and found by the next. If
 * the lease ended in between, the keepalive says so; if it expires later, then our own deadline,
 * which is always earlier, has passed.
 *
 * If its lease has lapsed meanwhile and nobody took over, its owner's key is put on one that lives.
 * A takeover compares that there is no owner's key, and this that nobody has written the record:
 * whichever comes first makes the other fail.
 */
export async function keepExecution(
  parts: Parts,
  execution: Execution,
  { token, retentionMs }: Terms,
  deadline: Deadline,
): Promise<Kept> {
  const { calls, leases, sweeper } = parts;
  for (let left = tries; left > 0; left--) {
    const lease = await leases.forAcquire(execution.leaseMs, deadline.leftMs);
    sweeper.used(lease);
    const [seen, alive, retained] = await Promise.all([
      readRecord(calls, execution, deadline.leftMs),
      refreshed(parts, lease, deadline),
      execution.retention === undefined || refreshedFor(parts, execution.retention, retentionMs, deadline),
    ]);
    const { record } = seen;
    if (record === null) return { kind: "missing" };
    const isOurs =
      record.state === "in-progress" && record.owner === execution.owner && record.token === token;
    if (!isOurs) return { kind: "fenced" };
    execution.begun = { token, attempt: record.attempt, fingerprint: record.fingerprint };
    if (execution.retention?.id !== record.leaseId) {
      // Of another process, or of a begin that was not answered.
      const { clock } = calls;
      execution.retention = new SharedLease(record.leaseId, clock);
      if (!(await refreshedFor(parts, execution.retention, retentionMs, deadline))) continue;
    }
    // The lease of the record has ended, or that of the owner's key: look what is left.
    if (!alive || !retained || lease.gone) continue;
    const isInPlace = seen.owner?.leaseId === lease.id && !execution.keyInDoubt;
    if (!isInPlace && !(await putBack(parts, execution, seen, lease, deadline))) continue;
    execution.lease = lease;
    execution.askedAt = calls.now();
    return { kind: "kept", proof: lease.proof };
  }
  throw new RpcFailure("busy", "the record, or its leases, kept changing");
}

/**
 * A lease of which the greater part is left is as good as a new one: whoever asks next finds half
 * of it.
 */
async function refreshed({ leases }: Parts, lease: SharedLease, deadline: Deadline): Promise<boolean> {
  return lease.remainingMs > (lease.ttlMs * 5) / 6 || leases.keep(lease, deadline.leftMs);
}

/** The retention counts from now: once per bucket of time, for all records on the lease. */
async function refreshedFor(
  { leases }: Parts,
  lease: SharedLease,
  leftMs: number,
  deadline: Deadline,
): Promise<boolean> {
  return lease.remainingMs >= leftMs || leases.keep(lease, deadline.leftMs);
}

/** False: something has changed, or the lease is gone. Nothing was written. */
async function putBack(
  { calls, leases }: Parts,
  execution: Execution,
  seen: Seen,
  lease: SharedLease,
  deadline: Deadline,
): Promise<boolean> {
  const { owner, ownerKey, leaseMs } = execution;
  const value = encodeOwnerValue({ owner, leaseMs });
  const request = {
    compare: isAsSeen(execution, seen),
    success: [{ request_put: { key: ownerKey, value, lease: lease.id } }],
  };
  try {
    const { succeeded } = await calls.unary(({ kv }, options) => kv.txn(request, options), deadline.leftMs, {
      turn: "renewals",
    });
    if (!succeeded) return false;
  } catch (error) {
    if (!(error instanceof RpcFailure) || error.kind !== "lease-gone")
      throw toLeaseholdError(error, "extension", true);
    leases.lost(lease);
    return false;
  }
  // A deletion that is still on its way names the revision that was there before.
  execution.keyInDoubt = false;
  return !lease.gone;
}

/**
 * One extend call: an unanswered one has refreshed what it has refreshed, so there is nothing to be
 * unknown.
 */
export async function extendExecution(parts: Parts, request: ExtendRequest): Promise<ExtendReply> {
  const { executions, calls } = parts;
  const execution = executions.enter(request);
  try {
    const deadline = new Deadline(calls.clock, request.timeoutMs);
    const kept = await keepExecution(parts, execution, request, deadline);
    if (kept.kind !== "kept") return { kind: kept.kind };
    const { ttlMs: leaseMs, validFrom } = kept.proof;
    return { kind: "extended", leaseMs, validFrom };
  } catch (error) {
    throw toLeaseholdError(error, "extension", false);
  } finally {
    executions.leave(execution);
  }
}
