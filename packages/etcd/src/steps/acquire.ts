import {
  LeaseholdError,
  nothingProved,
  type Granted,
  type Proof,
  type Queued,
  type Refused,
} from "@leasehold/core";
import type { JoinRequest } from "../format/claim-request.ts";
import { deleteClaim } from "../ownership/claim-deletion.ts";
import { Deadline } from "../rpc/deadline.ts";
import { joinLine } from "./join-line.ts";
import type { Parts } from "./parts.ts";
import type { OwnClaim } from "../line/own-claim.ts";
import type { OwnerRecord } from "../ownership/claims.ts";
import { readClaim, readLine } from "../line/read-line.ts";
import { afterWriting, beforeWriting, RpcFailure, toLeaseholdError } from "../rpc/failure.ts";
import { SharedLease } from "../leases/shared-lease.ts";

type Answer = Granted | Queued | Refused;

/**
 * A lease that vanishes, or a claim that dies, between two steps of one acquire: begin again, so
 * often.
 */
const tries = 3;

/** One acquire call: joins the line, or finds the place that an earlier try of it has taken. */
export async function acquireClaim(parts: Parts, request: JoinRequest): Promise<Answer> {
  const { claims, calls } = parts;
  if (claims.hasDeparted(request)) return { kind: "refused", reason: "departed" };
  const deadline = new Deadline(calls.clock, request.timeoutMs);
  let record = claims.enter(request);
  try {
    if ((await endLapsed(parts, record, deadline)) && claims.has(record)) {
      // The weight and the value of the dead claim were its own: the new one has those of this
      // request.
      claims.leave(record);
      record = claims.enter(request);
    }
    return await new Acquisition(parts, request, record, deadline).run();
  } catch (error) {
    const failure = toLeaseholdError(error, "acquire", true);
    // A copy of it may be carried out later; until its release, a key of this owner is not litter.
    if (failure.code === "OUTCOME_UNKNOWN") record.doubtful = true;
    throw failure;
  } finally {
    claims.leave(record);
  }
}

/**
 * A claim of this owner that nobody has asked for during a ttl is dead: it is not refreshed, and
 * the owner joins anew (rule R2). Whether there was one.
 */
async function endLapsed(
  { calls, keys, claims, watches }: Parts,
  record: OwnerRecord,
  deadline: Deadline,
): Promise<boolean> {
  const { claim } = record;
  if (claim === undefined || !claims.hasLapsed(record)) return false;
  watches.delete(claim);
  const { key, ticket } = claim;
  await beforeWriting("lease", deleteClaim(calls, keys, { key, ticket }, deadline.leftMs));
  record.claim = undefined;
  return true;
}

class Acquisition {
  readonly #parts: Parts;
  readonly #request: JoinRequest;
  readonly #record: OwnerRecord;
  readonly #deadline: Deadline;

  constructor(parts: Parts, request: JoinRequest, record: OwnerRecord, deadline: Deadline) {
    this.#parts = parts;
    this.#request = request;
    this.#record = record;
    this.#deadline = deadline;
  }

  async run(): Promise<Answer> {
    for (let left = tries; left > 0; left--) {
      const answer = await this.#try();
      if (answer === undefined) continue;
      if (answer.kind === "refused" || this.#parts.claims.has(this.#record)) return answer;
      // Released while the answer was on its way: nobody waits for what it says.
      this.#parts.claims.discard({ key: this.#record.key, ticket: answer.ticket });
      return { kind: "refused", reason: "departed" };
    }
    throw new LeaseholdError(
      "BACKEND_UNAVAILABLE",
      "etcd: the lease or the claim vanished at each try. Try again.",
    );
  }

  /** Undefined: what it stood on has vanished, and nothing of it is in the store. */
  async #try(): Promise<Answer | undefined> {
    const { leases } = this.#parts;
    const { ttlMs, queue, weight, capacity } = this.#request;
    const lease = await beforeWriting("lease", leases.forAcquire(ttlMs, this.#deadline.leftMs));
    try {
      const joined = await joinLine(this.#parts, lease, this.#request, this.#record, this.#deadline);
      if (joined.kind === "refused") return joined;
      if (joined.kind === "present") return await this.#standing();
      if (lease.gone) return undefined;
      const mustWait = joined.ahead + weight > capacity;
      // etcd cannot count before it writes, so a line that is full is found afterwards, and the
      // place given back.
      if (mustWait && queue && (await afterWriting(this.#isFull(joined))))
        return await afterWriting(this.#giveBack(joined.ticket));
      return this.#answer(lease, joined.ticket, joined.ahead, joined.ticket);
    } catch (error) {
      // Nothing was written. Every claim on that lease is gone; the next try is granted another.
      if (!(error instanceof RpcFailure) || error.kind !== "lease-gone") throw error;
      leases.lost(lease);
      return undefined;
    }
  }

  /**
   * There is a claim under our key: refresh it as a renewal does (rule R3), then tell where it
   * stands.
   */
  async #standing(): Promise<Answer | undefined> {
    const { calls, keys, leases } = this.#parts;
    const { key, resource, owner } = this.#record;
    const before = await readClaim(calls, keys, this.#record, this.#deadline.leftMs);
    if (before === undefined) return undefined;
    const { ticket, leaseId, record } = before;
    if (record.owner !== owner) {
      // A delayed acquire of an earlier owner of this key name, or a value put by hand: nobody's.
      await beforeWriting(
        "removal of a claim",
        deleteClaim(calls, keys, { key, ticket }, this.#deadline.leftMs),
      );
      return undefined;
    }
    const lease = record.evicted ? this.#evictionLease(leaseId) : leases.withId(leaseId);
    if (!record.evicted && !(await leases.keep(lease, this.#deadline.leftMs))) return undefined;
    // Only a key that is there after its lease was refreshed has been refreshed, and only if no
    // eviction has moved it.
    const line = await readLine(calls, keys, resource, this.#deadline.leftMs);
    const now = line.withTicket(ticket);
    if (now?.leaseId !== leaseId) return undefined;
    if (!record.evicted) return this.#answer(lease, ticket, now.ahead, line.revision);
    const { claim: known } = this.#record;
    const proof = known?.ticket === ticket ? known.proof : lease.proof;
    return this.#answer(lease, ticket, now.ahead, line.revision, proof);
  }

  /**
   * Not to be refreshed: an evicted claim is as old as its last acknowledgement; if that never
   * came, nothing is proved.
   */
  #evictionLease(id: string): SharedLease {
    const proof = { validFrom: nothingProved, ttlMs: this.#request.ttlMs };
    return new SharedLease(id, this.#parts.calls.clock, proof);
  }

  #answer(
    lease: SharedLease,
    ticket: bigint,
    ahead: number,
    revision: bigint,
    proof: Proof = lease.proof,
  ): Answer {
    const { claims, watches } = this.#parts;
    const { resource, owner, capacity, weight, key } = this.#record;
    const acknowledged = { ticket, ...proof };
    if (!claims.has(this.#record)) return { kind: "granted", ...acknowledged };
    const askedAt = this.#parts.calls.now();
    const place = { resource, owner, key, capacity, weight, ticket, lease };
    const times = { writtenBy: askedAt, askedAt };
    const claim = this.#claim({ ...place, granted: false, evicted: false, ...times, proof });
    claim.granted ||= ahead + weight <= capacity || watches.add(claim, ahead, revision);
    if (claim.granted) return { kind: "granted", ...acknowledged };
    // A lease's end deletes its keys, and the watch tells: nobody has to ask when those ahead may
    // be dead.
    return { kind: "queued", ...acknowledged, aheadMs: lease.ttlMs };
  }

  /** The same claim keeps its record; a claim with a higher ticket replaces a dead one. */
  #claim(seen: OwnClaim): OwnClaim {
    const known = this.#record.claim;
    if (known?.ticket === seen.ticket) {
      known.askedAt = seen.askedAt;
      known.proof = seen.proof;
      return known;
    }
    if (known !== undefined) this.#parts.watches.delete(known);
    this.#record.claim = seen;
    return seen;
  }

  /**
   * Whether as many wait before it as may. Those of a larger capacity take a read of the line to
   * tell, and only in a long one. With capacity 1 the head is read: what was counted may be keys
   * that are no claims, and where that keeps everybody out, nobody is there to find it.
   */
  async #isFull({ ticket, claimsAhead }: { ticket: bigint; claimsAhead: number }): Promise<boolean> {
    const { resource, capacity, maxWaiters } = this.#request;
    if (claimsAhead < maxWaiters) return false;
    const { calls, keys } = this.#parts;
    if (capacity === 1) {
      if (claimsAhead - 1 < maxWaiters) return false;
      const head = await readLine(calls, keys, resource, this.#deadline.leftMs, { oldest: 1 });
      if (!head.isStrange) return true;
    }
    const { claims } = await readLine(calls, keys, resource, this.#deadline.leftMs);
    return claims.filter((claim) => !claim.granted && claim.ticket < ticket).length >= maxWaiters;
  }

  async #giveBack(ticket: bigint): Promise<Refused> {
    const { calls, keys } = this.#parts;
    await deleteClaim(calls, keys, { key: this.#record.key, ticket }, this.#deadline.leftMs);
    return { kind: "refused", reason: "full" };
  }
}
