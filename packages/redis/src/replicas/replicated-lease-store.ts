import { elapsedMs, isLeaseholdError, LeaseholdError, within } from "@leasehold/core";
import type {
  AcquireRequest,
  CallOptions,
  ChangeListener,
  ClaimRef,
  Clock,
  Granted,
  GrantListener,
  GrantPush,
  LeaseStore,
  Look,
  LookOptions,
  ProposeRequest,
  Queued,
  Refused,
  ReleaseRequest,
  RenewAnswer,
  RenewRequest,
  Snapshot,
} from "@leasehold/core";
import type { Confirmation, Confirmations } from "./confirmations.ts";

/** How long the grant of a waiting claim may take to be confirmed, in milliseconds. */
const CONFIRM_MS = 2_500;
/** How long its withdrawal may take. */
const WITHDRAW_MS = 1_000;

/** What became of a grant. */
type Outcome =
  | Exclude<Confirmation, { kind: "short" }>
  /** It is on too few replicas, and was taken out of the store. */
  | { readonly kind: "withdrawn"; readonly says: string }
  /** It is on too few replicas, and whether it is still in the store is not known. */
  | { readonly kind: "unknown"; readonly says: string };

/** A claim of this process, from before its acquire leaves until it is released or gone. */
interface Tracked extends ClaimRef {
  readonly ttlMs: number;
  /** The ticket with which it is known to be on the replicas. */
  confirmed?: bigint;
  /** What is being found out now. One claim is confirmed, or withdrawn, once at a time. */
  settling?: { readonly ticket: bigint; readonly outcome: Promise<Outcome> };
}

export interface ReplicatedLeaseStoreOptions {
  readonly store: LeaseStore;
  readonly confirmations: Pick<Confirmations, "confirm">;
  readonly clock: Clock;
}

/**
 * A lease store whose grants count only once they are on some replicas. However a grant is learnt
 * of, core hears nothing of it before that:
 *
 * - as the answer to an acquire: the answer waits.
 * - as a push: the push waits.
 * - found by a renewal: the answer waits for half of its time. Then it says that the claim still
 *   waits, and a push follows.
 *
 * A grant that is on too few replicas is withdrawn, since it keeps others from the name while it is
 * no use to anybody. The acquire then fails, and core may ask again with the same owner; a waiting
 * claim is found gone by its next question, which is asked at once.
 *
 * Renewals do not wait. What a failover forgets of them is the same claim with an earlier end.
 */
export class ReplicatedLeaseStore implements LeaseStore {
  readonly #store: LeaseStore;
  readonly #confirmations: Pick<Confirmations, "confirm">;
  readonly #clock: Clock;
  readonly #claims = new Map<string, Tracked>();
  readonly #listeners = new Set<GrantListener>();

  constructor({ store, confirmations, clock }: ReplicatedLeaseStoreOptions) {
    this.#store = store;
    this.#confirmations = confirmations;
    this.#clock = clock;
    store.onGrant({
      granted: (push) => this.#pushed(push),
      lookAgain: () => this.#lookAgain(),
      // Without a listener nobody can tell.
      knows: (owner) => [...this.#listeners].some((listener) => listener.knows?.(owner) ?? true),
    });
  }

  async acquire(request: AcquireRequest): Promise<Granted | Queued | Refused> {
    const { resource, owner, ttlMs, timeoutMs } = request;
    const startedAt = this.#clock.now();
    // A push can overtake the answer, so the claim is known from before its request leaves.
    const claim: Tracked = this.#claims.get(owner) ?? { resource, owner, ttlMs };
    this.#claims.set(owner, claim);
    const reply = await this.#store.acquire(request).catch((error: unknown) => {
      // Nothing was written. A push may have told of an earlier request all the same.
      if (!isLeaseholdError(error, "OUTCOME_UNKNOWN") && claim.confirmed === undefined)
        this.#claims.delete(owner);
      throw error;
    });
    if (reply.kind === "refused") this.#claims.delete(owner);
    if (reply.kind !== "granted" || claim.confirmed === reply.ticket) return reply;
    const leftMs = (): number => Math.max(1, timeoutMs - elapsedMs(this.#clock, startedAt));
    // The rest of the time is for the withdrawal.
    const settling = this.#settle(claim, reply.ticket, leftMs() * 0.8, leftMs);
    const bound = { clock: this.#clock, limitMs: leftMs(), keepAlive: true };
    const outcome = await within<Outcome, Outcome>(settling, bound, () => {
      return { kind: "unknown", says: "The replicas did not answer in time." };
    });
    if (outcome.kind === "confirmed") return { ...reply, validFrom: outcome.validFrom };
    if (outcome.kind === "withdrawn" && reply.resent !== true)
      throw new LeaseholdError("BACKEND_UNAVAILABLE", `The grant was withdrawn. ${outcome.says}`);
    // Rule R7: a copy of the request, or the claim itself, may be in the store. Core asks again, or
    // releases with a mark.
    const says = outcome.kind === "gone" ? "The grant is gone." : `The grant is no use. ${outcome.says}`;
    throw new LeaseholdError("OUTCOME_UNKNOWN", says);
  }

  async renew(requests: readonly RenewRequest[], options: CallOptions): Promise<RenewAnswer[]> {
    const startedAt = this.#clock.now();
    const answers = await this.#store.renew(requests, options);
    // Claims that are held share this answer. So they never wait for all of their time.
    const leftMs = Math.max(0, options.timeoutMs / 2 - elapsedMs(this.#clock, startedAt));
    const silence: RenewAnswer = { kind: "unanswered", error: new Error("The store gave no answer.") };
    return Promise.all(requests.map((request, at) => this.#renewed(request, answers[at] ?? silence, leftMs)));
  }

  release(request: ReleaseRequest): Promise<boolean> {
    this.#claims.delete(request.owner);
    return this.#store.release(request);
  }

  propose(request: ProposeRequest): Promise<boolean> {
    return this.#store.propose(request);
  }

  evict(request: ClaimRef & CallOptions): Promise<boolean> {
    return this.#store.evict(request);
  }

  inspect(resource: string, options: CallOptions): Promise<Snapshot> {
    return this.#store.inspect(resource, options);
  }

  look(resource: string, options: LookOptions): Promise<Look> {
    return this.#store.look(resource, options);
  }

  onGrant(listener: GrantListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  watch(resource: string, listener: ChangeListener): () => void {
    return this.#store.watch(resource, listener);
  }

  async #renewed(request: RenewRequest, answer: RenewAnswer, limitMs: number): Promise<RenewAnswer> {
    const { resource, owner, ticket, ttlMs } = request;
    const claim = this.#claims.get(owner);
    if (answer.kind === "gone") this.#claims.delete(owner);
    if (answer.kind !== "renewed" || !answer.granted || claim?.confirmed === ticket) return answer;
    const bound = { clock: this.#clock, limitMs };
    const outcome =
      claim &&
      (await within(
        this.#announce(claim, { resource: resource.name, owner, ticket }),
        bound,
        () => undefined,
      ));
    if (outcome?.kind === "confirmed") return { ...answer, validFrom: outcome.validFrom };
    if (outcome?.kind === "gone" || outcome?.kind === "withdrawn") return { kind: "gone" };
    // It is not known yet. A claim that nobody knows here is being withdrawn, or was.
    return { ...answer, granted: false, aheadMs: ttlMs };
  }

  #pushed(push: GrantPush): boolean {
    const claim = this.#claims.get(push.owner);
    if (claim === undefined) return false;
    if (claim.confirmed === push.ticket) return this.#tell(push);
    void this.#announce(claim, push);
    return true;
  }

  /** Passes on a grant to a waiting claim, if it can be confirmed. */
  async #announce(claim: Tracked, push: GrantPush): Promise<Outcome> {
    const { resource, owner, settling } = claim;
    // Whoever began to find out tells of it.
    if (settling?.ticket === push.ticket) return settling.outcome;
    const outcome = await this.#settle(claim, push.ticket, CONFIRM_MS, () => WITHDRAW_MS);
    if (outcome.kind === "withdrawn") this.#lookAgain();
    // Nobody waits for it any more? Then it is given back. If that fails it ends with its ttl.
    if (outcome.kind === "confirmed" && this.#claims.get(owner) === claim && !this.#tell(push))
      await this.release({ resource, owner, timeoutMs: WITHDRAW_MS }).catch(() => false);
    return outcome;
  }

  /** Confirms a grant, or withdraws it. Never rejects. */
  async #settle(
    claim: Tracked,
    ticket: bigint,
    confirmMs: number,
    withdrawMs: () => number,
  ): Promise<Outcome> {
    // Two at a time, and one could withdraw what the other has confirmed.
    while (claim.settling !== undefined) {
      if (claim.settling.ticket === ticket) return claim.settling.outcome;
      await claim.settling.outcome;
    }
    const outcome = this.#confirmOrWithdraw(claim, ticket, confirmMs, withdrawMs).finally(
      () => delete claim.settling,
    );
    claim.settling = { ticket, outcome };
    return outcome;
  }

  async #confirmOrWithdraw(
    claim: Tracked,
    ticket: bigint,
    confirmMs: number,
    withdrawMs: () => number,
  ): Promise<Outcome> {
    const { resource, owner, ttlMs } = claim;
    const answer = await this.#confirmations.confirm({ resource, owner, ttlMs, ticket }, confirmMs);
    if (answer.kind === "confirmed") claim.confirmed = ticket;
    if (answer.kind !== "short") return answer;
    try {
      await this.#store.release({ resource, owner, timeoutMs: withdrawMs() });
    } catch {
      // Core goes on to renew it, if it waits for it, and a renewal finds the grant again.
      return { kind: "unknown", says: answer.says };
    }
    if (this.#claims.get(owner) === claim) this.#claims.delete(owner);
    return { kind: "withdrawn", says: answer.says };
  }

  #tell(push: GrantPush): boolean {
    // All are asked, even after one knows: several coordinators may share this backend.
    return [...this.#listeners].map((listener) => listener.granted(push)).includes(true);
  }

  #lookAgain(): void {
    for (const listener of [...this.#listeners]) listener.lookAgain();
  }
}
