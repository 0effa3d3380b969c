import { checkDuration, checkFunction, checkSignal, checkTtl } from "../base/arguments.ts";
import type { RunPolicy } from "../base/policy.ts";
import type { ShapedResource } from "../contract/lease-store.ts";
import { invalidArgument, isLeaseholdError, LeaseholdError, LeaseLostError } from "../errors.ts";
import { Acquisition, type Acquirable } from "../lease/acquisition.ts";
import type { HeldLease } from "../lease/held-lease.ts";
import type { Session } from "../lease/session.ts";
import { encodeClaimValue, type Metadata } from "./claim-value.ts";
import { resourceOf, type Recipe } from "./resource.ts";

export interface AcquireOptions {
  /** How long the lease outlives its last renewal, in milliseconds. Default: the coordinator's (15,000). */
  readonly ttlMs?: number;
  /** How long to wait in line, in milliseconds; 0 tries once, Infinity is allowed. Default: the coordinator's (30,000). */
  readonly waitMs?: number;
  /** Ends the wait: the call rejects at once with this signal's reason. Has no say once the lease is granted. */
  readonly signal?: AbortSignal;
  /** Shown by `inspect`: a flat record of text, at most 4 KiB. */
  readonly metadata?: Metadata;
}

export interface RunOptions extends AcquireOptions {
  /**
   * Runs each attempt as a whole, acquiring included: a retry gets a lease, and a fencing token, of its own. The end of an
   * attempt (a time limit's) ends its wait, and aborts the signal of its lease.
   */
  readonly policy?: RunPolicy;
}

export type TryAcquireOptions = Pick<AcquireOptions, "ttlMs" | "metadata" | "signal">;

/** What every coordinator has a default for. */
export interface Defaults {
  readonly ttlMs: number;
  readonly waitMs: number;
  /** After how long a body that ignores its aborted signal is reported. */
  readonly graceMs: number;
  readonly label: string | undefined;
}

/** What makes a recipe of a line. */
export interface LineShape {
  readonly recipe: Recipe;
  readonly capacity: number;
}

/** What one claim is, beside the options of its caller. */
export interface ClaimDetails {
  readonly weight: number;
  readonly candidate?: string;
  readonly value?: string;
  /** When it was asked for, where the caller must know it, too. Default: now. */
  readonly sinceMs?: number;
}

/** One resource of one shape: what all recipes do with it. */
export class LineResource {
  readonly name: string;
  readonly resource: ShapedResource;
  readonly session: Session;
  readonly defaults: Defaults;
  readonly recipe: Recipe;

  constructor(session: Session, name: string, shape: LineShape, defaults: Defaults) {
    const { recipe, capacity } = shape;
    this.name = name;
    this.recipe = recipe;
    this.resource = { ...resourceOf(session.context.namespace, recipe, name), capacity };
    this.session = session;
    this.defaults = defaults;
  }

  /** For messages: `lock "order:42"`. */
  get subject(): string {
    return `${this.recipe} ${JSON.stringify(this.name)}`;
  }

  async acquire(claim: ClaimDetails, options: AcquireOptions): Promise<HeldLease> {
    const lease = await this.claim(claim, options);
    if (lease === null) throw new LeaseholdError("ACQUIRE_TIMEOUT", `The ${this.subject} is held elsewhere.`);
    return lease;
  }

  /** Null: held elsewhere, and `waitMs` is 0. */
  async claim(claim: ClaimDetails, options: AcquireOptions): Promise<HeldLease | null> {
    const { session, defaults, resource, recipe, name } = this;
    const { context } = session;
    context.assertOpen();
    const { ttlMs = defaults.ttlMs, waitMs = defaults.waitMs, metadata } = options;
    const { traits, name: backendName } = context.backend;
    const { weight, ...content } = claim;
    const what: Acquirable = {
      ...{ recipe, name, resource, weight },
      ttlMs: checkTtl(ttlMs, traits, backendName),
      waitMs: checkDuration("waitMs", waitMs, { infinite: true }),
      signal: checkSignal(options.signal),
      value: encodeClaimValue({
        sinceMs: context.clock.now().wallMs,
        ...content,
        metadata,
        label: defaults.label,
      }),
    };
    what.signal?.throwIfAborted();
    session.assertRoomToWait();
    return new Acquisition(session, what).start();
  }

  async run<T>(
    claim: ClaimDetails,
    body: (lease: HeldLease) => T | Promise<T>,
    { policy, ...options }: RunOptions,
  ): Promise<T> {
    checkFunction("body", body);
    if (policy === undefined) return this.runUnder(await this.acquire(claim, options), body);
    if (typeof policy?.execute !== "function") throw invalidArgument("policy must have a method execute.");
    return policy.execute(
      ({ signal }) => this.#attempt(claim, body, { ...options, signal }),
      checkSignal(options.signal),
    );
  }

  async #attempt<T>(
    claim: ClaimDetails,
    body: (lease: HeldLease) => T | Promise<T>,
    options: AcquireOptions & { readonly signal: AbortSignal },
  ): Promise<T> {
    const { signal } = options;
    const lease = await this.acquire(claim, options);
    const stop = (): void => lease.interrupt(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      return await this.runUnder(lease, body);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Runs `body` under a lease, and releases the lease once the body has settled. */
  async runUnder<T>(lease: HeldLease, body: (lease: HeldLease) => T | Promise<T>): Promise<T> {
    const stopWatching = this.#reportStuck(lease);
    const work = (async () => body(lease))();
    this.session.track(lease, work);
    let result: T;
    try {
      result = await work;
    } catch (error) {
      // Looked at before the release, which ends the lease without a loss.
      const { loss } = lease;
      await lease[Symbol.asyncDispose]();
      // A body that only passed the abort on says nothing of its own; any other error is the body's, and wins.
      throw loss !== null && isAbort(error) ? loss : error;
    } finally {
      stopWatching();
    }
    if (lease.loss !== null) {
      await lease[Symbol.asyncDispose]();
      throw lease.loss;
    }
    // The body has its result and the lease was good at this look: an unanswered release is the background's affair. But a
    // store that says "gone" had lost the claim while the body ran.
    const outcome = await lease.release().catch(() => "unknown");
    if (outcome === "gone")
      throw new LeaseLostError("gone", `The lease of ${this.subject} was gone when it was released.`);
    return result;
  }

  /** A body that goes on after its signal has aborted is the one thing the SDK cannot end: it can only be told. */
  #reportStuck(lease: HeldLease): () => void {
    const { graceMs } = this.defaults;
    let cancel = (): void => {};
    const watch = (): void => {
      const timer = this.session.context.clock.schedule(graceMs, () => lease.stuck(graceMs));
      cancel = () => timer.cancel();
    };
    if (lease.signal.aborted) watch();
    else lease.signal.addEventListener("abort", watch, { once: true });
    return () => {
      lease.signal.removeEventListener("abort", watch);
      cancel();
    };
  }
}

/** Whether an error only passes on that a signal aborted. */
export function isAbort(error: unknown): boolean {
  return isLeaseholdError(error, "LEASE_LOST") || (error instanceof Error && error.name === "AbortError");
}
