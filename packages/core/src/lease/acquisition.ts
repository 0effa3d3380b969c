import { Backoff } from "../base/again.ts";
import { sleep, type Timer } from "../base/clock.ts";
import { drawOwner } from "../base/random.ts";
import type { AcquireRequest, Refused, ShapedResource } from "../contract/lease-store.ts";
import { isOutage, LeaseholdError, LeaseLostError, mayHaveHappened, type LossReason } from "../errors.ts";
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
  readonly #claim: Claim;
  readonly #startedAtMs: number;
  readonly #deadlineMs: number;
  readonly #outcome = Promise.withResolvers<HeldLease | null>();
  #timer: Timer | null = null;
  #queued = false;
  #settled = false;
  /** Ends the pause between two tries; there is one only after a failure. */
  #pause: AbortController | null = null;
  #failure: unknown = undefined;

  constructor(session: Session, what: Acquirable) {
    this.#session = session;
    this.#what = what;
    const { clock, random } = session.context;
    const { resource, ttlMs } = what;
    this.#claim = new Claim({ resource, owner: drawOwner(random), ttlMs }, clock, this);
    this.#startedAtMs = clock.now().monoMs;
    this.#deadlineMs = this.#startedAtMs + (what.waitMs > 0 ? what.waitMs : acquireTimeoutMs(what.ttlMs));
  }

  start(): Promise<HeldLease | null> {
    this.#session.open(this.#claim, this);
    this.#what.signal?.addEventListener("abort", this.#abort, { once: true });
    this.#armTimer(this.#deadlineMs);
    void this.#ask();
    return this.#outcome.promise;
  }

  /** The coordinator is closing. */
  close(error: LeaseholdError): void {
    this.#giveUp(error);
  }

  granted(): void {
    const { context, renewals } = this.#session;
    const fencingToken = this.#claim.ticket ?? 0n;
    const lease = new HeldLease(this.#session, this.#claim, fencingToken, this.#what);
    // From here on the lease hears of losses; nothing can come between, since all of this is one
    // synchronous step.
    this.#claim.handTo(lease);
    this.#session.hold(lease);
    renewals.add(this.#claim);
    const waitedMs = this.#waitedMs();
    if (this.#queued) context.emit({ type: "granted", ...lease.event, waitedMs });
    this.#settle();
    context.emit({ type: "acquired", ...lease.event, waitedMs });
    this.#outcome.resolve(lease);
  }

  died(reason: LossReason): void {
    const end =
      reason === "evicted"
        ? "was evicted by an operator."
        : "is gone from the store. Acquire again to rejoin.";
    this.#giveUp(new LeaseLostError(reason, `The place in line for ${this.#subject} ${end}`));
  }

  ask(): void {
    this.#session.renewals.askNow(this.#claim);
  }

  /**
   * Asks until the store has told where the claim stands. Asking again is safe: every retry names
   * the same owner.
   */
  async #ask(): Promise<void> {
    const { context } = this.#session;
    const backoff = new Backoff({ firstMs: 20, longestMs: 500 }, context.random);
    for (;;) {
      this.#claim.sending();
      try {
        const reply = await context.backend.leases.acquire(this.#request());
        // A reply counts even after the call has settled: it confirms a lease that a push granted,
        // or ends it.
        if (reply.kind !== "refused") this.#claim.answered(reply);
        else this.#refused(reply);
        if (reply.kind === "queued") this.#joined();
        return;
      } catch (error) {
        this.#failure = error;
        if (mayHaveHappened(error)) this.#claim.unanswered();
        else this.#claim.inFlight = false;
        if (!this.#isPassing(error)) this.#giveUp(error);
      }
      if (!this.#settled) {
        this.#pause = new AbortController();
        await sleep(context.clock, backoff.nextMs(), this.#pause.signal, { keepAlive: true });
      }
      // A push may have told meanwhile what no reply did. A try that cannot be answered in time
      // only blurs the outcome.
      if (this.#settled || this.#claim.phase !== "joining" || this.#leftMs() < shortestTryMs) return;
    }
  }

  /**
   * Whether to ask again: always if the request may have been carried out, since only a repeat can
   * tell; while nothing was written, only for a caller that is willing to wait.
   */
  #isPassing(error: unknown): boolean {
    return isOutage(error) && !error.permanent && (mayHaveHappened(error) || this.#what.waitMs > 0);
  }

  #request(): AcquireRequest {
    const { resource, ttlMs, weight, value, waitMs } = this.#what;
    return {
      ...{ resource, owner: this.#claim.owner, ttlMs, weight, value },
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

  #waitedMs(): number {
    return this.#session.context.clock.now().monoMs - this.#startedAtMs;
  }

  #leftMs(): number {
    return this.#deadlineMs - this.#session.context.clock.now().monoMs - 20;
  }

  #joined(): void {
    if (this.#settled || this.#queued) return;
    this.#queued = true;
    const { recipe, name } = this.#what;
    const claim = this.#claim.owner.slice(0, 8);
    this.#session.context.emit({ type: "queued", recipe, name, claim });
    this.#session.renewals.add(this.#claim);
  }

  #refused({ reason, capacity }: Refused): void {
    this.#claim.inFlight = false;
    this.#giveUp(this.#refusal(reason, capacity));
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

  #timedOut(): void {
    this.#giveUp(this.#timeoutError());
  }

  #timeoutError(): LeaseholdError {
    const subject = this.#subject;
    const afterMs = Math.round(this.#waitedMs());
    if (this.#queued) {
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
    const mayBeInStore = this.#claim.phase === "waiting" || this.#claim.unclean || this.#claim.inFlight;
    this.#claim.end();
    this.#session.forget(this.#claim);
    if (mayBeInStore) this.#session.departures.add(this.#claim);
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
