import type { AcquireRequest, Refused } from "../contract/backend.ts";
import { Claim, type ClaimObserver } from "./claim.ts";
import { sleep, type Timer } from "../base/clock.ts";
import { isLeaseholdError, LeaseholdError, LeaseLostError, type LossReason } from "../errors.ts";
import { HeldLease, type LeaseOrigin } from "./lease.ts";
import { drawOwner } from "../base/random.ts";
import type { Session } from "./session.ts";

/** What to acquire, and how long to wait for it. Validated. */
export interface Acquirable extends LeaseOrigin {
  readonly resource: string;
  readonly capacity: number;
  readonly weight: number;
  readonly ttlMs: number;
  readonly value: string;
  /** Whether changes are announced to observers. */
  readonly announce: boolean;
  /** 0: granted at once, or not at all. Infinity: for ever. */
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** How long one acquire request may go unanswered before it is asked again. */
function acquireTimeoutMs(ttlMs: number): number {
  return Math.min(5_000, Math.max(250, ttlMs / 2));
}

const shortestTryMs = 50;

/**
 * One acquire call, from its first request until the caller has an answer: a lease, null (held elsewhere, when it may not
 * wait), or an error. It settles once, at the first of grant, death, timeout, abort and close, whatever is still in flight;
 * whatever it may have left in the store is then taken out in the background.
 */
export class Acquisition implements ClaimObserver {
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
    const ref = { resource: what.resource, owner: drawOwner(session.random) };
    this.#claim = new Claim(ref, what, session.clock, this);
    this.#startedAtMs = session.clock.now().monoMs;
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
    const { clock, emit, renewals } = this.#session;
    const { recipe, name } = this.#what;
    const fencingToken = this.#claim.ticket ?? 0n;
    const lease = new HeldLease(this.#session, this.#claim, fencingToken, this.#what);
    // From here on the lease hears of losses; nothing can come between, since all of this is one synchronous step.
    this.#claim.observer = lease;
    this.#session.hold(lease);
    renewals.add(this.#claim);
    const waitedMs = clock.now().monoMs - this.#startedAtMs;
    const event = { recipe, name, claim: this.#claim.owner.slice(0, 8), fencingToken, waitedMs };
    if (this.#queued) emit({ type: "granted", ...event });
    this.#settle();
    emit({ type: "acquired", ...event });
    this.#outcome.resolve(lease);
  }

  died(reason: LossReason): void {
    const subject = `${this.#what.recipe} ${JSON.stringify(this.#what.name)}`;
    this.#giveUp(
      new LeaseLostError(
        reason,
        reason === "evicted"
          ? `The place in line for ${subject} was evicted by an operator.`
          : `The place in line for ${subject} is gone from the store. Acquire again to rejoin.`,
      ),
    );
  }

  lost(): void {}

  ask(): void {
    this.#session.renewals.askNow(this.#claim);
  }

  /** Asks until the store has told where the claim stands. Every retry names the same owner, so asking again is safe. */
  async #ask(): Promise<void> {
    for (let backoffMs = 20; ; backoffMs = Math.min(backoffMs * 2, 500)) {
      this.#claim.sending();
      try {
        const reply = await this.#session.backend.leases.acquire(this.#request());
        // Even after the call has settled: the reply to a lease that a push granted confirms it, or ends it.
        if (reply.kind !== "refused") this.#claim.answered(reply);
        else this.#refused(reply);
        if (reply.kind === "queued") this.#joined();
        return;
      } catch (error) {
        this.#failure = error;
        if (isLeaseholdError(error, "OUTCOME_UNKNOWN")) this.#claim.unanswered();
        else this.#claim.inFlight = false;
        const hopeless = !isLeaseholdError(error) || error.permanent || !this.#isPassing(error);
        if (hopeless) this.#giveUp(error);
      }
      await this.#backOff(backoffMs * (0.5 + this.#session.random.fraction()));
      // A push may have told meanwhile what no reply did; and a try that cannot be answered in time only blurs the outcome.
      if (this.#settled || this.#claim.phase !== "joining" || this.#leftMs() < shortestTryMs) return;
    }
  }

  async #backOff(delayMs: number): Promise<void> {
    if (this.#settled) return;
    this.#pause = new AbortController();
    await sleep(this.#session.clock, delayMs, this.#pause.signal, { keepAlive: true });
  }

  /** Worth asking again: unknown always (only a repeat can tell), unreachable while the caller is willing to wait. */
  #isPassing(error: LeaseholdError): boolean {
    return (
      error.code === "OUTCOME_UNKNOWN" || (error.code === "BACKEND_UNAVAILABLE" && this.#what.waitMs > 0)
    );
  }

  #request(): AcquireRequest {
    const { resource, ttlMs, capacity, weight, value, waitMs, announce } = this.#what;
    const { owner } = this.#claim;
    const { maxWaitersPerName: maxWaiters } = this.#session;
    // A moment before the wait ends: the backend knows whether the request ever left, and should have the last word.
    const timeoutMs = Math.min(acquireTimeoutMs(ttlMs), Math.max(shortestTryMs, this.#leftMs()));
    return {
      resource,
      owner,
      ttlMs,
      capacity,
      weight,
      value,
      queue: waitMs > 0,
      maxWaiters,
      announce,
      timeoutMs,
    };
  }

  #leftMs(): number {
    return this.#deadlineMs - this.#session.clock.now().monoMs - 20;
  }

  #joined(): void {
    if (this.#settled || this.#queued) return;
    this.#queued = true;
    const { recipe, name } = this.#what;
    this.#session.emit({ type: "queued", recipe, name, claim: this.#claim.owner.slice(0, 8) });
    this.#session.renewals.add(this.#claim);
  }

  #refused(reply: Refused): void {
    this.#claim.inFlight = false;
    const { recipe, name, capacity, waitMs } = this.#what;
    const subject = `${recipe} ${JSON.stringify(name)}`;
    switch (reply.reason) {
      case "held":
        return this.#giveUp(
          waitMs > 0 ? new LeaseholdError("ACQUIRE_TIMEOUT", `The ${subject} is held elsewhere.`) : null,
        );
      case "full":
        return this.#giveUp(
          new LeaseholdError(
            "TOO_MANY_WAITERS",
            `The ${subject} has ${this.#session.maxWaitersPerName} waiters already. Shed load, or raise maxWaitersPerName.`,
          ),
        );
      case "shape":
        return this.#giveUp(
          new LeaseholdError(
            "SHAPE_MISMATCH",
            `The ${subject} is in use with capacity ${reply.capacity ?? "unknown"}, not ${capacity}. ` +
              `A new capacity needs a new name, or an empty line.`,
          ),
        );
      case "departed":
        return this.#giveUp(
          new LeaseLostError("released", `This acquire of ${subject} was already given up.`),
        );
    }
  }

  readonly #abort = (): void => this.#giveUp(this.#what.signal?.reason);

  /** Long waits wake early (timers have a ceiling) and look again. The pending wait keeps the process alive. */
  #armTimer(deadlineMs: number): void {
    const { clock } = this.#session;
    const leftMs = deadlineMs - clock.now().monoMs;
    if (leftMs <= 0) return this.#timedOut();
    this.#timer = clock.schedule(leftMs, () => this.#armTimer(deadlineMs), { keepAlive: true });
  }

  #timedOut(): void {
    const { recipe, name } = this.#what;
    const subject = `${recipe} ${JSON.stringify(name)}`;
    const afterMs = Math.round(this.#session.clock.now().monoMs - this.#startedAtMs);
    const cause = { cause: this.#failure };
    if (this.#queued)
      this.#giveUp(
        new LeaseholdError(
          "ACQUIRE_TIMEOUT",
          `Waited ${afterMs} ms in line for ${subject}, without a grant.`,
        ),
      );
    else if (this.#claim.unclean || this.#claim.inFlight)
      this.#giveUp(
        new LeaseholdError(
          "OUTCOME_UNKNOWN",
          `A request for ${subject} was not answered within ${afterMs} ms. It is being withdrawn in the background.`,
          cause,
        ),
      );
    else
      this.#giveUp(
        new LeaseholdError(
          "BACKEND_UNAVAILABLE",
          `The store could not be reached within ${afterMs} ms for ${subject}.`,
          cause,
        ),
      );
  }

  /** Settles without a lease. Null: held elsewhere. Leaves no claim behind, without making the caller wait for that. */
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
