import { within } from "../base/within.ts";
import type { Context } from "../context.ts";
import { LeaseholdError } from "../errors.ts";
import type { Claim } from "./claim.ts";
import { Departures, releaseTimeoutMs } from "./departures.ts";
import { RenewalLoop } from "./renewal-loop.ts";

/** An acquire call that has not settled yet, as the session knows it. */
export interface PendingAcquire {
  /** The coordinator is closing: the call settles now. */
  close(error: LeaseholdError): void;
}

/** A lease that somebody holds, as the session knows it. */
export interface LeaseInUse extends AsyncDisposable {
  readonly claim: Claim;
  /** A renewal was acknowledged. */
  renewed(): void;
  /** A renewal was not answered. */
  unconfirmed(error: Error): void;
  /** Asks the holder to stop. */
  interrupt(reason: unknown): void;
  /** Its body is still running, `afterMs` after its signal aborted. */
  stuck(afterMs: number): void;
  /** Stops renewing without releasing. */
  abandon(): void;
}

export interface WaiterLimits {
  readonly maxWaitersPerName: number;
  /** How many acquire calls of this coordinator may be pending. */
  readonly maxWaiters: number;
}

/**
 * The claims of one coordinator: who has which, the loop that keeps them alive, and their end.
 * Recipes are thin choices of capacity and weight over it.
 */
export class Session {
  readonly context: Context;
  readonly limits: WaiterLimits;
  readonly renewals: RenewalLoop;
  readonly departures: Departures;

  readonly #claims = new Map<string, Claim>();
  readonly #leases = new Map<Claim, LeaseInUse>();
  readonly #pending = new Set<PendingAcquire>();
  readonly #bodies = new Map<LeaseInUse, Promise<unknown>>();
  readonly #stopListening: readonly (() => void)[];
  #closing: Promise<void> | null = null;

  constructor(context: Context, limits: WaiterLimits) {
    const { backend, emit } = context;
    this.context = context;
    this.limits = limits;
    this.departures = new Departures(context);
    this.renewals = new RenewalLoop(context, {
      renewed: (claim) => this.#leases.get(claim)?.renewed(),
      unconfirmed: (claim, error) => this.#leases.get(claim)?.unconfirmed(error),
    });
    this.#stopListening = [
      backend.leases.onGrant({
        granted: (push) => this.#claims.get(push.owner)?.pushed(push.ticket) ?? false,
        lookAgain: () => this.renewals.askWaiting(),
        knows: (owner) => this.#claims.has(owner),
      }),
      backend.onDegraded((degradation) => emit({ type: "degraded", backend: backend.name, ...degradation })),
      backend.onRestored((restoration) => emit({ type: "restored", backend: backend.name, ...restoration })),
    ];
  }

  /** An acquire call begins: its claim may hear pushes from before its first request leaves. */
  open(claim: Claim, acquire: PendingAcquire): void {
    this.#claims.set(claim.owner, claim);
    this.#pending.add(acquire);
  }

  /**
   * Throws `TOO_MANY_WAITERS` when this process has as many acquire calls pending as it may have.
   */
  assertRoomToWait(): void {
    const { maxWaiters } = this.limits;
    if (this.#pending.size >= maxWaiters)
      throw new LeaseholdError(
        "TOO_MANY_WAITERS",
        `This process has ${maxWaiters} acquire calls waiting already. Shed load, or raise maxWaiters.`,
      );
  }

  /** A claim of that ticket was seen to hold. Where only one can hold, earlier ones are over. */
  sawHolder(resource: string, ticket: bigint): void {
    for (const { claim } of [...this.#leases.values()]) {
      const { name, capacity } = claim.resource;
      if (name === resource && capacity === 1 && (claim.ticket ?? ticket) < ticket) claim.superseded();
    }
  }

  settled(acquire: PendingAcquire): void {
    this.#pending.delete(acquire);
  }

  hold(lease: LeaseInUse): void {
    this.#leases.set(lease.claim, lease);
  }

  /** The claim is over: nobody here waits for it, and a push for it is answered by a release. */
  forget(claim: Claim): void {
    this.#claims.delete(claim.owner);
    this.#leases.delete(claim);
    this.renewals.delete(claim);
  }

  /** Notes a body that runs under a lease: the lease is not released before it has settled. */
  track(lease: LeaseInUse, body: Promise<unknown>): void {
    const settled = body.then(
      () => this.#bodies.delete(lease),
      () => this.#bodies.delete(lease),
    );
    this.#bodies.set(lease, settled);
  }

  close(graceMs: number): Promise<void> {
    if (this.#closing !== null) return this.#closing;
    const { promise, resolve } = Promise.withResolvers<void>();
    // Set first: a listener that hears of the end below may come back here.
    this.#closing = promise;
    resolve(this.#close(graceMs));
    return promise;
  }

  async #close(graceMs: number): Promise<void> {
    const { context } = this;
    const reason = new LeaseholdError("CLOSED", "The coordinator was closed.");
    context.shut(reason);
    for (const acquire of [...this.#pending]) acquire.close(reason);
    const untilMs = context.clock.now().monoMs + graceMs;
    const leases = [...this.#leases.values()];
    for (const lease of leases) lease.interrupt(reason);
    await Promise.all(leases.map((lease) => this.#endOf(lease, graceMs)));
    // Whatever is on its way, also what was called just before the close, may be answered. A
    // release that leaves at the end of the grace, because its body ended then, has its time all
    // the same.
    const leftMs = Math.max(untilMs - context.clock.now().monoMs, releaseTimeoutMs);
    await this.#within(leftMs, context.attended());
    this.departures.stop();
    this.renewals.stop();
    for (const stop of this.#stopListening) stop();
    await context.leaveBackend();
  }

  /**
   * Releases once the body has settled. A body that outlives the grace keeps its name for its ttl.
   */
  async #endOf(lease: LeaseInUse, graceMs: number): Promise<void> {
    const body = this.#bodies.get(lease);
    if (body !== undefined) await this.#within(graceMs, body);
    // The context attends to it: `close` waits for the answers of all together.
    if (!this.#bodies.has(lease)) return void lease[Symbol.asyncDispose]();
    lease.stuck(graceMs);
    lease.abandon();
  }

  async #within(limitMs: number, work: Promise<unknown>): Promise<void> {
    await within(work, { clock: this.context.clock, limitMs, keepAlive: true }, () => {});
  }
}
