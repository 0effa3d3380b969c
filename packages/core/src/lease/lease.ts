import { checkDuration } from "../base/arguments.ts";
import type { Claim, ClaimObserver } from "./claim.ts";
import { departedForMs, releaseTimeoutMs } from "./departures.ts";
import { LeaseLostError, type LossReason } from "../errors.ts";
import type { Session } from "./session.ts";

/**
 * A granted claim, for as long as it lasts. The same object for the lease's whole life: renewal extends it in the
 * background, every ttl/3, until it is released or lost.
 *
 * A lease is a promise about time, and time passes between a look and an act: no lock service can rule out that a process
 * pauses right after a look. Hand `fencingToken` to the resource with every write; that, and only that, is exact.
 */
export interface Lease extends AsyncDisposable {
  /** The name that was acquired. */
  readonly name: string;
  /** 128 random bits, as 32 hexadecimal digits, drawn for this acquire call alone. */
  readonly owner: string;
  /**
   * Greater than that of every earlier lease of this name. Give it to the guarded resource with each operation, and let it
   * refuse lower ones. Comparable only within one store and one name.
   */
  readonly fencingToken: bigint;
  /**
   * Aborts when the lease is lost (the reason is a `LeaseLostError`), before the store can grant the name to another; or
   * when the coordinator closes (the reason has code `CLOSED`; the lease is then still held until its body has settled).
   */
  readonly signal: AbortSignal;
  /** Milliseconds until the lease ends unless it is renewed, by the local clocks at this look; 0 when it is not held. */
  readonly remainingMs: number;
  /** Whether the lease may be believed at this look. Computed from the clocks, never a stored flag. */
  isHeld(): boolean;
  /**
   * Throws a `LeaseLostError` unless the lease is held, and stays held for `marginMs` (default 0) more without any renewal;
   * `INVALID_ARGUMENT` when that is no number of milliseconds.
   */
  assertHeld(marginMs?: number): void;
  /**
   * Gives the lease back. Belief ends at the call. One attempt, at most a second; repeated calls share its answer.
   * `"gone"`: there was nothing to give back, the lease had been lost. Rejects with `OUTCOME_UNKNOWN` or
   * `BACKEND_UNAVAILABLE` when the store did not answer: the SDK goes on trying in the background, and the store frees the
   * name by itself within one ttl.
   */
  release(): Promise<"released" | "gone">;
  /** Releases. Never rejects, so that it cannot mask the error of the block that it ends: a failure is an event. */
  [Symbol.asyncDispose](): Promise<void>;
}

const whyLost: Readonly<Record<LossReason, string>> = {
  gone: "is gone from the store: expired, deleted, flushed or evicted there",
  expired:
    "could not be renewed before its deadline: the store did not answer, or this process was paused or blocked",
  evicted: "was evicted by an operator: stop the work and release it, so that the next one may begin",
  superseded: "is over: somebody with a higher token holds it",
  released: "was released",
};

/** What a lease is made of, and was acquired for. */
export interface LeaseOrigin {
  readonly recipe: string;
  readonly name: string;
}

export class HeldLease implements Lease, ClaimObserver {
  readonly name: string;
  readonly owner: string;
  readonly fencingToken: bigint;
  readonly recipe: string;

  /** The claim beneath. */
  readonly claim: Claim;

  readonly #session: Session;
  /** Made when somebody looks at `signal`: most leases are released without anybody having listened. */
  #aborter: AbortController | null = null;
  #alarm: { readonly reason: unknown } | null = null;
  readonly #sinceMs: number;
  #loss: LeaseLostError | null = null;
  #release: Promise<"released" | "gone"> | null = null;
  #releaseUnanswered = false;

  constructor(session: Session, claim: Claim, ticket: bigint, origin: LeaseOrigin) {
    this.#session = session;
    this.claim = claim;
    this.name = origin.name;
    this.recipe = origin.recipe;
    this.owner = claim.owner;
    this.fencingToken = ticket;
    this.#sinceMs = session.clock.now().monoMs;
  }

  get signal(): AbortSignal {
    if (this.#aborter === null) {
      this.#aborter = new AbortController();
      if (this.#alarm !== null) this.#aborter.abort(this.#alarm.reason);
    }
    return this.#aborter.signal;
  }

  get remainingMs(): number {
    return this.claim.isHeld() ? this.claim.remainingMs() : 0;
  }

  /** Why the lease was lost, if it was; looks first. */
  get loss(): LeaseLostError | null {
    this.claim.isHeld();
    return this.#loss;
  }

  isHeld(): boolean {
    return this.claim.isHeld();
  }

  assertHeld(marginMs = 0): void {
    checkDuration("marginMs", marginMs);
    if (this.claim.isHeld()) {
      const remainingMs = this.claim.remainingMs();
      if (remainingMs >= marginMs) return;
      throw this.#lostError(
        "expired",
        `has ${Math.floor(remainingMs)} ms left, less than the ${marginMs} ms asked for`,
      );
    }
    throw this.#loss ?? this.#lostError("released", whyLost.released);
  }

  release(): Promise<"released" | "gone"> {
    return (this.#release ??= this.#releaseOnce());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => undefined);
  }

  /** Asks the holder to stop: the coordinator closes, a leader resigns. The lease is not lost by that. */
  interrupt(reason: unknown): void {
    this.#alarm ??= { reason };
    this.#aborter?.abort(reason);
  }

  /** Its body is still running, `afterMs` after its signal aborted. */
  stuck(afterMs: number): void {
    const { recipe, name, fencingToken } = this;
    this.#session.emit({ type: "stuck", recipe, name, claim: this.#shortOwner(), fencingToken, afterMs });
  }

  /** Stops renewing without releasing: a body still runs, so nobody else may be let in before the ttl has passed. */
  abandon(): void {
    this.claim.end();
    this.#session.forget(this.claim);
  }

  lost(reason: LossReason): void {
    const { name, recipe, fencingToken } = this;
    this.#loss = this.#lostError(reason, whyLost[reason]);
    this.#session.forget(this.claim);
    this.#session.emit({ type: "lost", recipe, name, claim: this.#shortOwner(), fencingToken, reason });
    this.interrupt(this.#loss);
  }

  granted(): void {}
  died(): void {}
  ask(): void {}

  async #releaseOnce(): Promise<"released" | "gone"> {
    const { departures, backend } = this.#session;
    const held = this.claim.isHeld();
    this.claim.end();
    this.#session.forget(this.claim);
    if (!held && !this.#releaseUnanswered) {
      // Lost: what the caller learns costs no round trip. If only our belief ended, the store may still keep the claim,
      // and those in line need not wait for its expiry.
      if (this.#loss !== null && this.#loss.reason !== "gone") departures.add(this.claim);
      this.#report("gone");
      return "gone";
    }
    const { resource, owner, announce } = this.claim;
    const request = {
      resource,
      owner,
      announce,
      timeoutMs: releaseTimeoutMs,
      departedForMs: departedForMs(this.claim),
    };
    try {
      const removed = await backend.leases.release(request);
      // A repeated release that finds nothing: the earlier, unanswered one removed it, while it was ours.
      const outcome = removed || this.#releaseUnanswered ? "released" : "gone";
      this.#report(outcome);
      return outcome;
    } catch (error) {
      this.#releaseUnanswered = true;
      this.#release = null;
      departures.add(this.claim);
      this.#report("unknown");
      throw error;
    }
  }

  #report(outcome: "released" | "gone" | "unknown"): void {
    const { recipe, name, fencingToken } = this;
    const heldMs = this.#session.clock.now().monoMs - this.#sinceMs;
    this.#session.emit({
      type: "released",
      recipe,
      name,
      claim: this.#shortOwner(),
      fencingToken,
      outcome,
      heldMs,
    });
  }

  #lostError(reason: LossReason, why: string): LeaseLostError {
    return new LeaseLostError(reason, `The lease of ${this.recipe} ${JSON.stringify(this.name)} ${why}.`);
  }

  #shortOwner(): string {
    return this.owner.slice(0, 8);
  }
}
