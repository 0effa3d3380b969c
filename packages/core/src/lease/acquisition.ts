import { Backoff } from "../base/again.ts";
import { sleep, type Timer } from "../base/clock.ts";
import { drawOwner } from "../base/random.ts";
import { captureScope, type Scope } from "../base/scope.ts";
import type { AcquireRequest, Refused, ShapedResource } from "../contract/lease-store.ts";
import { isOutage, LeaseholdError, LeaseLostError, mayHaveHappened, type LossReason } from "../errors.ts";
import type { ClaimEvent } from "../events.ts";
import { Claim, type WaiterObserver } from "./claim.ts";
import { HeldLease, type LeaseOrigin } from "./held-lease.ts";
import type { PendingAcquire, Session } from "./session.ts";

/** What to acquire, and how long to wait for it. Validated. */
export interface Acquirable extends LeaseOrigin {
  readonly resource: ShapedResource;
  readonly weight: number;
  readonly ttlMs: number;
  readonly value: string;
  /** 0: granted at once, or not at all. Infinity: for ever. */
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** How long one acquire request may go unanswered before it is asked again. */
function acquireTimeoutMs(ttlMs: number): number {
  return Math.min(5_000, Math.max(250, ttlMs / 2));
}

/** A request with less time than this is not worth sending, in milliseconds. */
const shortestTryMs = 50;

/**
 * One acquire call, from its first request until the caller has an answer: a lease, null (held
 * elsewhere, when it may not wait), or an error. It settles once, at the first of grant, death,
 * timeout, abort and close, whatever is still in flight. What it may have left in the store is then
 * taken out in the background.
 */
export class Acquisition implements WaiterObserver, PendingAcquire {
  readonly #session: Session;
  readonly #what: Acquirable;
  /** The caller's async context: what is told of the claim, and of its lease, is told there. */
  readonly #scope: Scope = captureScope();
  /** The present claim; another one takes its place when that dies in line. */
  #claim: Claim;
  readonly #startedAtMs: number;
  readonly #deadlineMs: number;
  readonly #outcome = Promise.withResolvers<HeldLease | null>();
  #timer: Timer | null = null;
  /** Whether a claim of this call has stood in line. */
  #queued = false;
  #settled = false;
  /** Ends the pause between two tries; there is one only after a failure. */
  #pause: AbortController | null = null;
  #failure: unknown = undefined;

  constructor(session: Session, what: Acquirable) {
    this.#session = session;
    this.#what = what;
    this.#claim = this.#drawClaim();
    this.#startedAtMs = session.context.clock.now().monoMs;
    this.#deadlineMs = this.#startedAtMs + (what.waitMs > 0 ? what.waitMs : acquireTimeoutMs(what.ttlMs));
  }

  start(): Promise<HeldLease | null> {
    this.#session.open(this.#claim, this);
    this.#what.signal?.addEventListener("abort", this.#abort, { once: true });
    this.#armTimer(this.#deadlineMs);
    void this.#ask(this.#claim);
    return this.#outcome.promise;
  }

  /** The coordinator is closing. */
  close(error: LeaseholdError): void {
    this.#giveUp(error);
  }

  granted(): void {
    const { context, renewals } = this.#session;
    const lease = new HeldLease(this.#session, this.#claim, this.#what, this.#scope);
    // From here on the lease hears of losses; nothing can come between, since all of this is one
    // synchronous step.
    this.#claim.handTo(lease);
    this.#session.hold(lease);
    renewals.add(this.#claim);
    const waitedMs = this.#waitedMs();
    this.#settle();
    if (this.#queued) context.emit({ type: "granted", ...lease.event, waitedMs }, this.#scope);
    context.emit({ type: "acquired", ...lease.event, waitedMs }, this.#scope);
    this.#outcome.resolve(lease);
  }

  died(reason: LossReason): void {
    if (reason === "gone" && this.#what.waitMs > 0) return this.#rejoin();
    const end = reason === "evicted" ? "was evicted by an operator." : "is gone from the store.";
    this.#giveUp(new LeaseLostError(reason, `The place in line for ${this.#subject} ${end}`));
  }

  ask(): void {
    this.#session.renewals.askNow(this.#claim);
  }

  #drawClaim(): Claim {
    const { clock, random } = this.#session.context;
    const { resource, ttlMs } = this.#what;
    return new Claim({ resource, owner: drawOwner(random), ttlMs }, clock, this);
  }

  /**
   * The place in line is gone: a flush, a restart without data, a pause for longer than the ttl.
   * The caller wants to wait for the rest of its time, so it joins again, behind those who are
   * there by now. It does so as another owner (R1): the old claim is over for good (R5), and what
   * may still come of its requests must not be taken for an answer to these, nor be let in by them.
   */
  #rejoin(): void {
    const dead = this.#claim;
    this.#session.forget(dead);
    // A copy of a request may still arrive, and join as a ghost.
    if (dead.unclean || dead.inFlight) this.#session.departures.add(dead);
    this.#pause?.abort();
    this.#failure = undefined;
    this.#claim = this.#drawClaim();
    this.#session.open(this.#claim, this);
    const before = dead.owner.slice(0, 8);
    this.#session.context.emit({ type: "requeued", ...this.#event, before }, this.#scope);
    void this.#ask(this.#claim);
  }

  /**
   * Asks until the store has told where the claim stands. Asking again is safe: every retry names
   * the same owner.
   */
  async #ask(claim: Claim): Promise<void> {
    const { context } = this.#session;
    const backoff = new Backoff({ firstMs: 20, longestMs: 500 }, context.random);
    for (;;) {
      claim.sending();
      try {
        const reply = await context.backend.leases.acquire(this.#request(claim));
        // A reply counts even after the call has settled: it confirms a lease that a push granted,
        // or ends it.
        if (reply.kind === "refused") claim.inFlight = false;
        else claim.answered(reply);
        if (claim !== this.#claim) return;
        if (reply.kind === "refused") this.#giveUp(this.#refusal(reply.reason, reply.capacity));
        if (reply.kind === "queued") this.#joined();
        return;
      } catch (error) {
        if (mayHaveHappened(error)) claim.unanswered();
        else claim.inFlight = false;
        if (claim !== this.#claim) return;
        this.#failure = error;
        if (!this.#isPassing(error)) this.#giveUp(error);
      }
      if (!this.#settled) {
        this.#pause = new AbortController();
        await sleep(context.clock, backoff.nextMs(), this.#pause.signal, { keepAlive: true });
      }
      // A push may have told meanwhile what no reply did, or the claim may have died. A try that
      // cannot be answered in time only blurs the outcome.
      if (this.#settled || claim.phase !== "joining" || this.#leftMs() < shortestTryMs) return;
    }
  }

  /**
   * Whether to ask again: always if the request may have been carried out, since only a repeat can
   * tell; while nothing was written, only for a caller that is willing to wait.
   */
  #isPassing(error: unknown): boolean {
    return isOutage(error) && !error.permanent && (mayHaveHappened(error) || this.#what.waitMs > 0);
  }

  #request({ owner }: Claim): AcquireRequest {
    const { resource, ttlMs, weight, value, waitMs } = this.#what;
    return {
      ...{ resource, owner, ttlMs, weight, value },
      queue: waitMs > 0,
      maxWaiters: this.#session.limits.maxWaitersPerName,
      // It ends a moment before the wait does: the backend knows whether the request ever left, and
      // should have the last word.
      timeoutMs: Math.min(acquireTimeoutMs(ttlMs), Math.max(shortestTryMs, this.#leftMs())),
    };
  }

  get #subject(): string {
    return `${this.#what.recipe} ${JSON.stringify(this.#what.name)}`;
  }

  get #event(): ClaimEvent {
    const { recipe, name } = this.#what;
    return { recipe, name, claim: this.#claim.owner.slice(0, 8) };
  }

  #waitedMs(): number {
    return this.#session.context.clock.now().monoMs - this.#startedAtMs;
  }

  #leftMs(): number {
    return this.#deadlineMs - this.#session.context.clock.now().monoMs - 20;
  }

  #joined(): void {
    if (this.#settled) return;
    // What joins again was told as `requeued`.
    if (!this.#queued) this.#session.context.emit({ type: "queued", ...this.#event }, this.#scope);
    this.#queued = true;
    this.#session.renewals.add(this.#claim);
  }

  /** Null: held elsewhere. That is an answer to a call that may not wait. */
  #refusal(reason: Refused["reason"], capacity: number | undefined): LeaseholdError | null {
    const subject = this.#subject;
    switch (reason) {
      case "held":
        if (this.#what.waitMs === 0) return null;
        return new LeaseholdError("ACQUIRE_TIMEOUT", `The ${subject} is held elsewhere.`);
      case "full": {
        const { maxWaitersPerName: most } = this.#session.limits;
        const advice = "Shed load, or raise maxWaitersPerName.";
        return new LeaseholdError(
          "TOO_MANY_WAITERS",
          `The ${subject} has ${most} waiters already. ${advice}`,
        );
      }
      case "shape":
        return new LeaseholdError(
          "SHAPE_MISMATCH",
          `The ${subject} is in use with capacity ${capacity ?? "unknown"}, not ${this.#what.resource.capacity}. ` +
            `A new capacity needs a new name, or an empty line.`,
        );
      case "departed":
        return new LeaseLostError("released", `This acquire of ${subject} was already given up.`);
    }
  }

  readonly #abort = (): void => this.#giveUp(this.#what.signal?.reason);

  /**
   * Timers have a ceiling: a long wait wakes early, and looks again. The pending wait keeps the
   * process alive.
   */
  #armTimer(deadlineMs: number): void {
    const { clock } = this.#session.context;
    const leftMs = deadlineMs - clock.now().monoMs;
    if (leftMs <= 0) return this.#timedOut();
    this.#timer = clock.schedule(leftMs, () => this.#armTimer(deadlineMs), { keepAlive: true });
  }

  /**
   * The backend knows whether the request ever left, and its deadline is a moment before this one.
   * After a blocked event loop both timers fire at once, and this call must not settle before that
   * answer is in. So it takes one more turn.
   */
  #timedOut(): void {
    const giveUp = (): void => this.#giveUp(this.#timeoutError());
    if (!this.#claim.inFlight) return giveUp();
    this.#timer = this.#session.context.clock.schedule(0, giveUp, { keepAlive: true });
  }

  #timeoutError(): LeaseholdError {
    const subject = this.#subject;
    const afterMs = Math.round(this.#waitedMs());
    // One that rejoins is no longer in line before that is answered; and if nothing has failed, the
    // store is there, and only the time was too short.
    if (this.#claim.phase === "waiting" || (this.#queued && this.#failure === undefined)) {
      // Whether others held it to the end, nobody knows who could not ask.
      const failure = this.#claim.renewalFailure;
      const doubt = failure === undefined ? "" : ` The last question to the store failed: ${failure.message}`;
      return new LeaseholdError(
        "ACQUIRE_TIMEOUT",
        `Waited ${afterMs} ms in line for ${subject}, without a grant.${doubt}`,
        failure === undefined ? {} : { cause: failure },
      );
    }
    const cause = { cause: this.#failure };
    const why = this.#failure instanceof Error ? ` ${this.#failure.message}` : "";
    if (this.#claim.unclean || this.#claim.inFlight) {
      const fate = this.#failure === undefined ? "was not answered within" : "has no known outcome after";
      return new LeaseholdError(
        "OUTCOME_UNKNOWN",
        `A request for ${subject} ${fate} ${afterMs} ms, and is being withdrawn in the background.${why}`,
        cause,
      );
    }
    // Whether the store was out of reach or said no, its backend knows, and tells.
    return new LeaseholdError(
      "BACKEND_UNAVAILABLE",
      `The store did not serve ${subject} within ${afterMs} ms.${why}`,
      cause,
    );
  }

  /**
   * Settles without a lease; null: held elsewhere. The claim is taken out of the store in the
   * background: the caller does not wait for that.
   */
  #giveUp(outcome: unknown): void {
    if (this.#settled) return;
    const { mayHaveJoined, inFlight, phase } = this.#claim;
    this.#claim.end();
    this.#session.forget(this.#claim);
    // A claim that died by the store's word is not there, unless a copy of its request arrives.
    if (inFlight || (mayHaveJoined && (phase !== "over" || this.#claim.unclean)))
      this.#session.departures.add(this.#claim);
    this.#settle();
    if (outcome === null) this.#outcome.resolve(null);
    else this.#outcome.reject(outcome);
  }

  #settle(): void {
    this.#settled = true;
    this.#pause?.abort();
    this.#timer?.cancel();
    this.#what.signal?.removeEventListener("abort", this.#abort);
    this.#session.settled(this);
  }
}
