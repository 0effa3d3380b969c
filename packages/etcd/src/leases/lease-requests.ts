import { invalidArgument, type Random } from "@leasehold/core";
import type { ILeaseKeepAliveResponse } from "etcd3";
import type { Calls, Request } from "../rpc/calls.ts";
import { Deadline } from "../rpc/deadline.ts";
import { RpcFailure } from "../rpc/failure.ts";
import { areOneStanding, standingOf } from "../rpc/standing.ts";
import { SharedLease } from "./shared-lease.ts";

/**
 * Two processes drawing the same id out of 2^52 happens once in many lifetimes; the server tells,
 * and another is drawn.
 */
const draws = 3;

/**
 * Grants a lease of exactly `ttlMs`. Throws `INVALID_ARGUMENT` when the server grants another: etcd
 * raises what it deems too short in silence, and a holder that counts on 1 s would free its claim
 * for others only after 2 s. With `orLonger` it may: what only has to be kept for long enough may
 * be kept for longer.
 *
 * We draw the id. So a grant that was not answered can still be revoked; and it stays below 2^53:
 * the server's own ids use 63 bits, which etcd3 rounds, and so confuses, when it cannot load `long`
 * (under `--conditions=import`, as test runners set).
 */
export async function grantLease(
  calls: Calls,
  random: Random,
  ttlMs: number,
  timeoutMs: number,
  options: { orLonger?: boolean } = {},
): Promise<SharedLease> {
  const deadline = new Deadline(calls.clock, timeoutMs);
  for (let left = draws; ; left--) {
    const id = String(Number.parseInt(random.hex(7).slice(0, 13), 16) + 1);
    try {
      return await grantLeaseAs(calls, id, ttlMs, deadline.leftMs, options.orLonger === true);
    } catch (error) {
      const taken = error instanceof RpcFailure && error.message.includes("lease already exists");
      if (!taken || left <= 1) throw error;
    }
  }
}

async function grantLeaseAs(
  calls: Calls,
  id: string,
  ttlMs: number,
  timeoutMs: number,
  orLonger: boolean,
): Promise<SharedLease> {
  const sentAt = calls.now();
  const TTL = Math.round(ttlMs / 1000);
  const revoke = (): Promise<void> => revokeLease(calls, id, timeoutMs).catch(() => {});
  let grantedMs: number;
  try {
    const granted = await calls.unary(
      ({ leaseClient }, options) => leaseClient.leaseGrant({ TTL, ID: id }, options),
      timeoutMs,
      { puts: true, turn: "none" },
    );
    grantedMs = Number(granted.TTL) * 1000;
  } catch (error) {
    // It may exist, and nobody will ever use it.
    if (error instanceof RpcFailure && error.kind === "unanswered") void revoke();
    throw error;
  }
  if (grantedMs === ttlMs || (orLonger && grantedMs > ttlMs))
    return new SharedLease(id, calls.clock, { validFrom: sentAt, ttlMs: grantedMs }, true);
  await revoke();
  throw invalidArgument(
    `ttlMs ${ttlMs} is not what this etcd grants: it made it ${grantedMs}. Its minimum is 1.5 times its ` +
      `--election-timeout, rounded up to seconds. Ask for ${grantedMs} ms or more, and set minTtlMs to match.`,
  );
}

/** An election takes a term, or a few; each makes an answer prove nothing. So does each member. */
const keepTries = 8;

/**
 * Refreshes the lease. False when the store says that there is none; the lease is then marked as
 * gone.
 *
 * A keepalive alone proves nothing. An etcd before 3.4.29 and 3.5.13 answers it from the leader's
 * memory, and a leader whose disk hangs does not learn for as long that it was deposed: it goes on
 * acknowledging leases that its successor has ended. So a linearizable read follows, and both
 * count only if one member answered them in one term, the one that it was last seen in.
 *
 * Why that is proof: within one term a member knows one leader, so that leader had the keepalive.
 * The read, sent after it was answered, was confirmed by a quorum in the same term. So no leader of
 * a later term was elected before that. A leader that is elected later begins by giving each lease
 * its whole ttl again, counted from its election, which is after `sentAt`: it keeps the lease at
 * least as long as we believe. The term must have been seen *before* the keepalive left: a follower
 * may hand it to the old leader, learn of the new one, and put the new term on the answer.
 *
 * A member that does not answer in its share of the time leaves the rest to the others: with a disk
 * that hangs it answers keepalives, and never the read.
 */
export async function keepLease(calls: Calls, lease: SharedLease, timeoutMs: number): Promise<boolean> {
  const deadline = new Deadline(calls.clock, timeoutMs);
  let membersLeft = calls.endpoints.size;
  for (let left = keepTries; left > 0; left--) {
    try {
      const proved = await tryToKeep(calls, lease, deadline.leftMs / membersLeft);
      if (proved !== undefined) return proved;
    } catch (error) {
      const mayHelp = error instanceof RpcFailure && error.kind === "unanswered";
      if (!mayHelp || --membersLeft === 0 || deadline.leftMs === 0) throw error;
    }
  }
  throw new RpcFailure("unanswered", "the cluster changes its leader time and again");
}

/** Undefined: what was answered proves nothing. */
async function tryToKeep(calls: Calls, lease: SharedLease, timeoutMs: number): Promise<boolean | undefined> {
  const deadline = new Deadline(calls.clock, timeoutMs);
  const before = calls.standing ?? (await calls.readStanding(deadline.leftMs));
  const sentAt = calls.now();
  const { TTL, header } = await calls.unary(keepAliveOnce(lease.id), deadline.leftMs, { turn: "none" });
  const seconds = Number(TTL);
  if (seconds <= 0) {
    lease.ended();
    return false;
  }
  const after = await calls.readStanding(deadline.leftMs);
  if (!areOneStanding(before, standingOf(header), after)) return undefined;
  lease.refreshed({ validFrom: sentAt, ttlMs: seconds * 1000 });
  return true;
}

/**
 * The keys that hang on the lease; null when there is no such lease, which is then marked as gone.
 */
export async function listLeaseKeys(
  calls: Calls,
  lease: SharedLease,
  timeoutMs: number,
): Promise<readonly Buffer[] | null> {
  try {
    const answer = await calls.unary(
      ({ leaseClient }, options) => leaseClient.leaseTimeToLive({ ID: lease.id, keys: true }, options),
      timeoutMs,
      { turn: "none" },
    );
    if (Number(answer.TTL) >= 0) return answer.keys;
  } catch (error) {
    if (!(error instanceof RpcFailure) || error.kind !== "lease-gone") throw error;
  }
  lease.ended();
  return null;
}

/** The ttl that the lease was granted with; null when it has ended. It is not refreshed. */
export async function leaseTtlMs(calls: Calls, id: string, timeoutMs: number): Promise<number | null> {
  const { TTL, grantedTTL } = await calls.unary(
    ({ leaseClient }, options) => leaseClient.leaseTimeToLive({ ID: id }, options),
    timeoutMs,
  );
  return Number(TTL) < 0 ? null : Number(grantedTTL) * 1000;
}

/** Ends the lease and every claim on it. */
export async function revokeLease(calls: Calls, id: string, timeoutMs: number): Promise<void> {
  try {
    await calls.unary(({ leaseClient }, options) => leaseClient.leaseRevoke({ ID: id }, options), timeoutMs, {
      turn: "none",
    });
  } catch (error) {
    if (!(error instanceof RpcFailure) || error.kind !== "lease-gone") throw error;
  }
}

/**
 * A stream for one refresh. A long-lived one would keep the process alive between refreshes, and
 * one that has silently died looks just like a store that takes its time; here each refresh has the
 * deadline and the new connection of any call.
 */
function keepAliveOnce(id: string): Request<ILeaseKeepAliveResponse> {
  return async ({ leaseClient }, options) => {
    const stream = await leaseClient.leaseKeepAlive(options);
    return new Promise((resolve, reject) => {
      stream.on("data", resolve);
      stream.on("error", reject);
      stream.on("end", () => reject(new Error("the keepalive stream ended without an answer")));
      stream.write({ ID: id });
      stream.end();
    });
  };
}
