import type { ProposeRequest } from "@leasehold/core";
import type { Named } from "../format/claim-request.ts";
import type { Parts } from "./parts.ts";
import { hasTicket, isBefore, isOnLease } from "../format/claim-compares.ts";
import { encodeRecord } from "../format/claim-record.ts";
import { Deadline } from "../rpc/deadline.ts";
import { claimIn, readLine, type LoneClaim } from "../line/read-line.ts";
import { RpcFailure, toLeaseholdError } from "../rpc/failure.ts";

/**
 * What a write must name and keep: the key, and all of its state that a proposal does not replace.
 */
interface Place extends Pick<LoneClaim, "key" | "leaseId"> {
  readonly evicted: boolean;
}

/**
 * A claim's lease changes once in its life, by an eviction; so the second write already knows
 * better.
 */
const tries = 3;

/**
 * Replaces the value of a granted claim: one transaction for a claim of this process, a read before
 * it for any other.
 */
export async function proposeValue(parts: Parts, request: Named<ProposeRequest>): Promise<boolean> {
  const deadline = new Deadline(parts.calls.clock, request.timeoutMs);
  let place = known(parts, request);
  if (place === false) return false;
  place ??= await find(parts, request, deadline);
  for (let left = tries; place !== undefined; left--) {
    if (left === 0) throw new RpcFailure("busy", "others kept moving the claim");
    const written = await write(parts, request, place, deadline);
    if (typeof written === "boolean") return written;
    place = written;
  }
  return false;
}

/**
 * A grant is final, so this process need not ask about its own. False: the claim is dead.
 * Undefined: the store must tell.
 */
function known({ claims, watches }: Parts, request: Named<ProposeRequest>): Place | false | undefined {
  const record = claims.find(request);
  const claim = record?.claim;
  if (claim?.ticket !== request.ticket || claim.evicted) return undefined;
  if (record !== undefined && claims.hasLapsed(record)) {
    claims.discard(claim);
    watches.delete(claim);
    claims.claimGone(claim);
    return false;
  }
  return claim.granted ? { key: claim.key, leaseId: claim.lease.id, evicted: false } : undefined;
}

/** Undefined: there is no such claim, or it waits. */
async function find(
  { calls, keys }: Parts,
  { resource, owner, ticket }: Named<ProposeRequest>,
  deadline: Deadline,
): Promise<Place | undefined> {
  try {
    const line = await readLine(calls, keys, resource, deadline.leftMs, { values: true });
    const found = line.withTicket(ticket);
    return found?.granted && found.record.owner === owner ? placeOf(found) : undefined;
  } catch (error) {
    throw toLeaseholdError(error, "read of the line", false);
  }
}

/**
 * One transaction, and three compares, which leave nothing to be remembered or repeated. The
 * sequence: of proposals that arrive late, twice or together, the store keeps the highest. The
 * ticket: a copy that arrives when the name is in use again does nothing. The lease: a put takes
 * the key off its lease unless it names it, so it must name the right one; and only an eviction
 * moves a key, so the mark of one is neither lost nor invented. Answers the place to try, if it was
 * another.
 */
async function write(
  { calls, keys }: Parts,
  { owner, ticket, value, sequence }: Named<ProposeRequest>,
  { key, leaseId, evicted }: Place,
  deadline: Deadline,
): Promise<boolean | Place | undefined> {
  const stored = encodeRecord({ owner, sequence, evicted, value });
  const answer = await calls.unary(
    ({ kv }, options) =>
      kv.txn(
        {
          compare: [hasTicket(key, ticket), isOnLease(key, leaseId), isBefore(key, owner, sequence)],
          success: [{ request_put: { key, value: stored, lease: leaseId } }],
          failure: [{ request_range: { key } }],
        },
        options,
      ),
    deadline.leftMs,
  );
  if (answer.succeeded) return true;
  const now = claimIn(keys, answer.responses[0]?.response_range);
  if (now?.ticket !== ticket || now.record.owner !== owner) return undefined;
  return now.record.sequence >= sequence ? true : placeOf(now);
}

function placeOf({ key, leaseId, record }: LoneClaim): Place {
  return { key, leaseId, evicted: record.evicted };
}
