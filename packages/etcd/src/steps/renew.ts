import type { CallOptions, Instant, Proof, RenewAnswer, RenewRequest } from "@leasehold/core";
import type { Named } from "../format/claim-request.ts";
import { FrontReads } from "./front-reads.ts";
import type { Parts } from "./parts.ts";
import { Deadline } from "../rpc/deadline.ts";
import type { OwnClaim } from "../line/own-claim.ts";
import { readClaim, readLine } from "../line/read-line.ts";
import { toLeaseholdError } from "../rpc/failure.ts";
import type { LineClaim } from "../line/line.ts";
import type { SharedLease } from "../leases/shared-lease.ts";
import type { LeaseKeys } from "../leases/shared-leases.ts";

/** What a refresh of a lease proved. */
interface Refresh {
  readonly keys: LeaseKeys;
  readonly proof: Proof;
}

/**
 * Renews claims, granted and waiting: one keepalive with a read, and one list of keys for each
 * lease, and one read for each line that is waited in.
 */
export async function renewClaims(
  parts: Parts,
  requests: readonly Named<RenewRequest>[],
  { timeoutMs }: CallOptions,
): Promise<RenewAnswer[]> {
  const batch = new Renewal(parts, new Deadline(parts.calls.clock, timeoutMs));
  return Promise.all(
    requests.map((request) =>
      batch.renew(request).catch((error: unknown): RenewAnswer => ({
        kind: "unanswered",
        error: toLeaseholdError(error, "renewal", false),
      })),
    ),
  );
}

class Renewal {
  readonly #parts: Parts;
  readonly #deadline: Deadline;
  /** By lease: what the last of them is good for, and what it finds. */
  readonly #refreshes = new Map<SharedLease, { since: Instant; refresh: Promise<Refresh> }>();
  readonly #fronts: FrontReads;
  readonly #swept = new Set<LeaseKeys>();

  constructor(parts: Parts, deadline: Deadline) {
    this.#parts = parts;
    this.#deadline = deadline;
    this.#fronts = new FrontReads(parts, deadline);
  }

  async renew(request: Named<RenewRequest>): Promise<RenewAnswer> {
    const record = this.#parts.claims.find(request);
    const claim = record?.claim;
    // An acquire that went unanswered may have written a claim of another ticket since: only the
    // store knows.
    if (record === undefined || record.doubtful || claim === undefined)
      return this.#renewUnsure(request, claim);
    if (claim.ticket !== request.ticket) return { kind: "gone" };
    if (claim.evicted || claim.lease.gone) return this.#offLease(claim);
    const { calls, claims } = this.#parts;
    if (claims.hasLapsed(record)) {
      claims.discard(claim);
      return this.#gone(claim);
    }
    claim.askedAt = calls.now();
    const [{ keys, proof }, granted] = await Promise.all([
      this.#refresh(claim.lease, claim.writtenBy),
      // Whether it is granted by now is worth a look, and not the renewal: a push may tell as well.
      claim.granted || this.#fronts.isFront(claim).catch(() => false),
    ]);
    if (keys === null) return this.#offLease(claim);
    // An eviction has moved it; or the list, the leader's own view, lags behind a claim that
    // another member just wrote.
    if (!this.#lists(keys, claim)) return this.#renewUnsure(request, claim);
    if (granted) this.#granted(claim);
    claim.proof = proof;
    const aheadMs = claim.granted ? 0 : proof.ttlMs;
    return { kind: "renewed", ticket: claim.ticket, granted: claim.granted, aheadMs, ...proof };
  }

  /**
   * Its lease has ended, or is not its lease any more: there is nothing to refresh. What is left is
   * an evicted claim.
   */
  async #offLease(claim: OwnClaim): Promise<RenewAnswer> {
    const { calls, keys } = this.#parts;
    const found = await readClaim(calls, keys, claim, this.#deadline.leftMs, { turn: "renewals" });
    if (found?.ticket !== claim.ticket || !found.record.evicted) return this.#gone(claim);
    return this.#evicted(claim);
  }

  /**
   * A claim that this process did not acquire, or is not sure of: the store tells its lease and its
   * ticket.
   */
  async #renewUnsure(request: Named<RenewRequest>, claim: OwnClaim | undefined): Promise<RenewAnswer> {
    const mine = claim?.ticket === request.ticket ? claim : undefined;
    const before = await this.#seen(request);
    if (before === undefined) return this.#gone(mine);
    // Its lease is one that nobody may keep alive.
    if (before.record.evicted) return this.#evicted(mine);
    const { keys, proof } = await this.#refresh(
      this.#parts.leases.withId(before.leaseId),
      this.#parts.calls.now(),
    );
    // Only a key that is there after its lease was refreshed has been refreshed, and only if no
    // eviction has moved it.
    const now = await this.#seen(request);
    if (now?.record.evicted) return this.#evicted(mine);
    if (now === undefined || keys === null) return this.#gone(mine);
    const { ticket, granted } = now;
    if (mine !== undefined) {
      if (granted) this.#granted(mine);
      mine.proof = proof;
    }
    return { kind: "renewed", ticket, granted, aheadMs: granted ? 0 : proof.ttlMs, ...proof };
  }

  /** The claim of this owner and ticket (rule R2), as the store has it at this moment. */
  async #seen({ resource, owner, ticket }: Named<RenewRequest>): Promise<LineClaim | undefined> {
    const { calls, keys } = this.#parts;
    const line = await readLine(calls, keys, resource, this.#deadline.leftMs, {
      values: true,
      turn: "renewals",
    });
    const found = line.withTicket(ticket);
    return found?.record.owner === owner ? found : undefined;
  }

  /**
   * A refresh that shows what was in the store at `since`: one for all claims of the batch, mostly.
   */
  #refresh(lease: SharedLease, since: Instant): Promise<Refresh> {
    const known = this.#refreshes.get(lease);
    if (known !== undefined && known.since.monoMs >= since.monoMs) return known.refresh;
    const { leases, sweeper } = this.#parts;
    const refresh = leases.refresh(lease, since, this.#deadline.leftMs).then((keys) => {
      // One list answers many claims, and is gone through once.
      if (lease.ours && !this.#swept.has(keys)) {
        this.#swept.add(keys);
        sweeper.listed(keys);
      }
      return { keys, proof: lease.proof };
    });
    this.#refreshes.set(lease, { since, refresh });
    return refresh;
  }

  /** The name alone tells: while a claim's record lives, nobody else writes under its key. */
  #lists(keys: ReadonlySet<string>, { key }: OwnClaim): boolean {
    return keys.has(key.toString("latin1"));
  }

  #granted(claim: OwnClaim): void {
    if (claim.granted) return;
    claim.granted = true;
    this.#parts.watches.delete(claim);
  }

  /** It stays in its line, and may still be granted there, until it is released or its key ends. */
  #evicted(claim: OwnClaim | undefined): RenewAnswer {
    if (claim !== undefined) claim.evicted = true;
    return { kind: "evicted" };
  }

  #gone(claim: OwnClaim | undefined): RenewAnswer {
    if (claim !== undefined) {
      this.#parts.watches.delete(claim);
      this.#parts.claims.claimGone(claim);
    }
    return { kind: "gone" };
  }
}
