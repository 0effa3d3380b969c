import { checkDuration } from "../base/arguments.ts";
import type { Scope } from "../base/scope.ts";
import { LeaseLostError, type LossReason } from "../errors.ts";
import type { LeaseEvent, LeaseholdEvent } from "../events.ts";
import type { Claim, HolderObserver } from "./claim.ts";
import type { Lease } from "./lease.ts";
import type { LeaseInUse, Session } from "./session.ts";

const whyLost: Readonly<Record<LossReason, string>> = {
  gone: "is gone from the store: expired, deleted, flushed or evicted there",
  expired:
    "could not be renewed before its deadline: the store did not answer, or this process was paused or blocked",
  evicted: "was evicted by an operator: stop the work and release it, so that the next one may begin",
  superseded: "is over: somebody with a higher token holds it",
  released: "was released",
};

/**
 * An error that a timer or an answer brings about, not a call: its stack would say nothing. To take
 * it is most of the time that a loss takes, and ten thousand may be lost at one deadline.
 */
function withoutStack<T extends Error>(make: () => T): T {
  const { stackTraceLimit } = Error;
  // It may be frozen: then the stack is taken.
  Reflect.set(Error, "stackTraceLimit", 0);
  try {
    return make();
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  }
}

/** What a lease was acquired for: a recipe and a name. */
export interface LeaseOrigin {
  readonly recipe: string;
  readonly name: string;
}

/** A lease of this process: the `Lease` that a caller holds, over its claim. */
export class HeldLease implements Lease, HolderObserver, LeaseInUse {
  readonly name: string;
  readonly owner: string;
  readonly fencingToken: bigint;
  readonly recipe: string;
  /** The claim beneath. */
  readonly claim: Claim;

  readonly #session: Session;
  /** The async context of the call that acquired: of its events, and of those who hear its end. */
  readonly #scope: Scope;
  /** Made at the first look at `signal`: most leases are released without anybody listening. */
  #aborter: AbortController | null = null;
  #alarm: { readonly reason: unknown } | null = null;
  readonly #sinceMs: number;
  #loss: LeaseLostError | null = null;
  #release: Promise<"released" | "gone"> | null = null;
  #releaseUnanswered = false;

  constructor(session: Session, claim: Claim, origin: LeaseOrigin, scope: Scope) {
    this.#session = session;
    this.#scope = scope;
    this.claim = claim;
    this.name = origin.name;
    this.recipe = origin.recipe;
    this.owner = claim.owner;
    this.fencingToken = claim.ticket ?? 0n;
    this.#sinceMs = session.context.clock.now().monoMs;
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

  /** What each event of this lease says of it. */
  get event(): LeaseEvent {
    const { recipe, name, owner, fencingToken } = this;
    return { recipe, name, claim: owner.slice(0, 8), fencingToken };
  }

  /** Why the lease was lost; null if it was not. Looks at the clocks first. */
  get loss(): LeaseLostError | null {
    this.claim.isHeld();
    return this.#loss;
  }

  isHeld(): boolean {
    return this.claim.isHeld();
  }

  assertHeld(marginMs = 0): void {
    checkDuration("marginMs", marginMs);
    if (!this.claim.isHeld()) throw this.#loss ?? this.#lostError("released", whyLost.released);
    const remainingMs = this.claim.remainingMs();
    if (remainingMs >= marginMs) return;
    const left = `has ${Math.floor(remainingMs)} ms left, less than the ${marginMs} ms asked for`;
    throw this.#lostError("expired", left);
  }

  release(): Promise<"released" | "gone"> {
    if (this.#release === null) {
      this.#release = this.#releaseOnce();
      this.#session.context.attend(this.#release);
    }
    return this.#release;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release().catch(() => undefined);
  }

  /** Asks the holder to stop: the coordinator closes, a leader resigns. By itself it is no loss. */
  interrupt(reason: unknown): void {
    this.#alarm ??= { reason };
    const aborter = this.#aborter;
    if (aborter !== null) this.#scope(() => aborter.abort(reason));
  }

  renewed(): void {
    this.#tell({ type: "renewed", ...this.event, remainingMs: this.remainingMs });
  }

  unconfirmed(error: Error): void {
    this.#tell({ type: "unconfirmed", ...this.event, remainingMs: this.remainingMs, error });
  }

  stuck(afterMs: number): void {
    this.#tell({ type: "stuck", ...this.event, afterMs });
  }

  /** Gives up without a release: a body still runs, so nobody may be let in before the ttl ends. */
  abandon(): void {
    this.claim.end();
    this.#session.forget(this.claim);
  }

  lost(reason: LossReason): void {
    this.#loss = withoutStack(() => this.#lostError(reason, whyLost[reason]));
    this.#session.forget(this.claim);
    // The signal first: whoever hears the event may take its time. But what the signal sets off,
    // such as a release, is told after it.
    this.#session.context.announcer.before(() => {
      this.#tell({ type: "lost", ...this.event, reason });
      this.interrupt(this.#loss);
    });
  }

  async #releaseOnce(): Promise<"released" | "gone"> {
    const { departures } = this.#session;
    const held = this.claim.isHeld();
    this.claim.end();
    this.#session.forget(this.claim);
    if (!held && !this.#releaseUnanswered) {
      // The lease is lost: the caller learns that without a round trip. If only our belief ended,
      // the store may still keep the claim. It is released, so that the line need not wait for its
      // expiry.
      if (this.#loss !== null && this.#loss.reason !== "gone") departures.add(this.claim);
      this.#report("gone");
      return "gone";
    }
    try {
      const removed = await departures.release(this.claim);
      // A repeated release may find nothing: the unanswered one has removed the claim.
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
    const heldMs = this.#session.context.clock.now().monoMs - this.#sinceMs;
    this.#tell({ type: "released", ...this.event, outcome, heldMs });
  }

  #tell(event: LeaseholdEvent): void {
    this.#session.context.emit(event, this.#scope);
  }

  #lostError(reason: LossReason, why: string): LeaseLostError {
    return new LeaseLostError(reason, `The lease of ${this.recipe} ${JSON.stringify(this.name)} ${why}.`);
  }
}
