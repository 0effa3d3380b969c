import { checkDuration, checkFunction, checkSignal, checkTtl } from "../base/arguments.ts";
import type { ShapedResource } from "../contract/lease-store.ts";
import { invalidArgument, LeaseholdError } from "../errors.ts";
import { Acquisition, type Acquirable } from "../lease/acquisition.ts";
import type { HeldLease } from "../lease/held-lease.ts";
import type { Session } from "../lease/session.ts";
import type { AcquireOptions, Defaults, RunOptions } from "./acquire-options.ts";
import { encodeClaimValue } from "./claim-value.ts";
import { resourceOf, type Recipe } from "./resource.ts";
import { runUnder } from "./run-under.ts";

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
  /** When it was asked for, in milliseconds since the epoch. Default: now. */
  readonly sinceMs?: number;
}

/** One resource of one shape, and what all recipes do with it. */
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

  async acquire(claim: ClaimDetails, options: AcquireOptions): Promise<HeldLease> {
    const lease = await this.claim(claim, options);
    if (lease !== null) return lease;
    const subject = `${this.recipe} ${JSON.stringify(this.name)}`;
    throw new LeaseholdError("ACQUIRE_TIMEOUT", `The ${subject} is held elsewhere.`);
  }

  /** Resolves to null if the resource is held elsewhere and `waitMs` is 0. */
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

  /**
   * Runs `body` under a lease of this resource, and releases the lease once the body has settled.
   */
  async runUnder<T>(lease: HeldLease, body: (lease: HeldLease) => T | Promise<T>): Promise<T> {
    return runUnder(this.session, lease, this.defaults.graceMs, body);
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
}
