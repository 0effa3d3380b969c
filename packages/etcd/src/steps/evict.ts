import { sleep, type CallOptions } from "@leasehold/core";
import type { ClaimName } from "../format/claim-request.ts";
import type { ITxnRequest } from "etcd3";
import type { Parts } from "./parts.ts";
import { hasTicket, isUnchanged } from "../format/claim-compares.ts";
import { encodeRecord } from "../format/claim-record.ts";
import { Deadline } from "../rpc/deadline.ts";
import { grantLease, keepLease, leaseTtlMs, revokeLease } from "../leases/lease-requests.ts";
import type { LineClaim } from "../line/line.ts";
import { readLine } from "../line/read-line.ts";
import { RpcFailure, toLeaseholdError } from "../rpc/failure.ts";
import type { SharedLease } from "../leases/shared-lease.ts";

/** Between the read and the write a claim may get another value: read again, so often. */
const tries = 5;
const makeGoodEveryMs = 1_000;

/**
 * Evicts a claim. A lease that many claims share cannot stop for one of them, so the claim's key is
 * moved to a lease of its own, of the same ttl, which nobody refreshes once it is there. The key
 * keeps its create revision, and with it its ticket and its place; deletions are all that waiters
 * watch for, so they hear nothing.
 *
 * The key must outlive what its holder may still believe: a ttl from its last renewal, which was
 * before the move. The lease was granted before the move too, so it is refreshed once after it.
 * Without that it would be short by the time that the move took, which may be long if a network
 * holds the request back.
 */
export async function evictClaim(parts: Parts, request: ClaimName & CallOptions): Promise<boolean> {
  const eviction = new Eviction(parts, request);
  try {
    return await eviction.run(request.timeoutMs);
  } catch (error) {
    if (eviction.isInDoubt) void eviction.makeGood();
    throw toLeaseholdError(error, "eviction", eviction.isInDoubt);
  }
}

class Eviction {
  readonly #parts: Parts;
  readonly #ref: ClaimName;
  /** A move to it was sent, and it is not known whether it has been refreshed after that. */
  #doubtful: SharedLease | undefined;

  constructor(parts: Parts, { resource, owner }: ClaimName) {
    this.#parts = parts;
    this.#ref = { resource, owner };
  }

  get isInDoubt(): boolean {
    return this.#doubtful !== undefined;
  }

  async run(timeoutMs: number): Promise<boolean> {
    const { calls, keys } = this.#parts;
    const deadline = new Deadline(calls.clock, timeoutMs);
    for (let left = tries; left > 0; left--) {
      const line = await readLine(calls, keys, this.#ref.resource, deadline.leftMs, { values: true });
      const claim = line.ofOwner(this.#ref.owner);
      if (claim === undefined) return false;
      if (claim.record.evicted) {
        if (claim.leaseId === this.#doubtful?.id) await this.#refresh(this.#doubtful, deadline);
        return true;
      }
      const ttlMs = await leaseTtlMs(calls, claim.leaseId, deadline.leftMs);
      // Its lease has ended, though the read still saw it: it is dead (rule R6).
      if (ttlMs === null) return false;
      const lease = await grantLease(calls, this.#parts.random, ttlMs, deadline.leftMs);
      if (await this.#move(claim, lease, deadline)) return true;
      // Nothing hangs on it, and nothing of ours that could is on its way.
      void revokeLease(calls, lease.id, timeoutMs).catch(() => {});
    }
    throw new RpcFailure("busy", "others kept writing the claim");
  }

  /**
   * An eviction went unanswered. If it took place, its lease is still to be refreshed; if it has
   * not, it may still, as a copy that was held back, and late. So it is done again: the move that
   * was held back then finds the key changed. After a ttl there is no need: its lease has ended,
   * and a move to it is refused.
   *
   * What remains is a process that dies in the middle of this, a copy that arrives after that, and
   * a holder that cannot renew: its claim then ends before its belief, by as much as the copy was
   * late.
   */
  async makeGood(): Promise<void> {
    const { clock } = this.#parts.calls;
    while (this.#doubtful !== undefined && this.#doubtful.remainingMs > 0) {
      await sleep(clock, makeGoodEveryMs);
      const done = await this.run(makeGoodEveryMs).then(
        () => true,
        (error: unknown) => error instanceof RpcFailure && error.kind === "closed",
      );
      if (done) return;
    }
  }

  /** False: the claim is not what was read any more. */
  async #move(
    { key, ticket, revision, record }: LineClaim,
    lease: SharedLease,
    deadline: Deadline,
  ): Promise<boolean> {
    const { calls, claims } = this.#parts;
    const request: ITxnRequest = {
      compare: [hasTicket(key, ticket), isUnchanged(key, revision)],
      success: [{ request_put: { key, value: encodeRecord({ ...record, evicted: true }), lease: lease.id } }],
    };
    try {
      const { succeeded } = await calls.unary(({ kv }, options) => kv.txn(request, options), deadline.leftMs);
      // By an earlier move of ours, it may be: the next read tells.
      if (!succeeded) return false;
    } catch (error) {
      if (error instanceof RpcFailure && error.kind === "unanswered") this.#doubtful = lease;
      throw error;
    }
    // An earlier move that is still on its way finds the key changed, and does nothing.
    this.#doubtful = lease;
    const own = claims.find(this.#ref)?.claim;
    if (own?.ticket === ticket) own.evicted = true;
    await this.#refresh(lease, deadline);
    return true;
  }

  async #refresh(lease: SharedLease, deadline: Deadline): Promise<void> {
    await keepLease(this.#parts.calls, lease, deadline.leftMs);
    this.#doubtful = undefined;
  }
}
