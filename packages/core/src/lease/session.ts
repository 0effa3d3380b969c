import type { Acquisition } from "./acquisition.ts";
import type { Backend } from "../contract/backend.ts";
import type { Claim } from "./claim.ts";
import { sleep, type Clock } from "../base/clock.ts";
import { Departures } from "./departures.ts";
import { LeaseholdError } from "../errors.ts";
import type { EventListener } from "../events.ts";
import { Entry } from "../idempotency/begin.ts";
import type { HeldLease } from "./lease.ts";
import type { Random } from "../base/random.ts";
import { RenewalLoop } from "./renewal-loop.ts";

export interface SessionOptions {
  readonly backend: Backend;
  readonly namespace: string;
  readonly random: Random;
  readonly emit: EventListener;
  readonly maxWaitersPerName: number;
  readonly maxWaiters: number;
}

/** How many coordinators share a backend: the last one to close it closes it. */
const users = new WeakMap<Backend, number>();

/**
 * One process's life on one backend: every claim it has, the loop that keeps them alive, and their end. Recipes are thin
 * choices of capacity and weight over it.
 */
export class Session {
  readonly backend: Backend;
  readonly namespace: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly emit: EventListener;
  readonly maxWaitersPerName: number;
  readonly renewals: RenewalLoop;
  readonly departures: Departures;
  /** The door to idempotency records. */
  readonly entry: Entry;

  readonly #maxWaiters: number;
  readonly #claims = new Map<string, Claim>();
  readonly #leases = new Map<Claim, HeldLease>();
  readonly #acquisitions = new Set<Acquisition>();
  readonly #attended = new Set<Promise<unknown>>();
  readonly #bodies = new Map<HeldLease, Promise<unknown>>();
  readonly #closer = new AbortController();
  readonly #stopListening: readonly (() => void)[];
  #closing: Promise<void> | null = null;

  constructor(options: SessionOptions) {
    const { backend, emit } = options;
    this.backend = backend;
    this.namespace = options.namespace;
    this.clock = backend.clock;
    this.random = options.random;
    this.emit = emit;
    this.maxWaitersPerName = options.maxWaitersPerName;
    this.#maxWaiters = options.maxWaiters;
    users.set(backend, (users.get(backend) ?? 0) + 1);
    this.departures = new Departures(backend.leases, this.clock, this.random);
    this.entry = new Entry(this);
    this.renewals = new RenewalLoop(backend.leases, this.clock, {
      renewed: (claim) => this.#tell(claim, (common) => ({ type: "renewed", ...common })),
      unconfirmed: (claim, error) =>
        this.#tell(claim, (common) => ({ type: "unconfirmed", error, ...common })),
    });
    this.#stopListening = [
      backend.leases.onGrant({
        granted: (push) => this.#claims.get(push.owner)?.pushed(push.ticket) ?? false,
        lookAgain: () => this.renewals.askWaiting(),
      }),
      backend.onDegraded((degradation) => emit({ type: "degraded", backend: backend.name, ...degradation })),
    ];
  }

  /** Aborts when `close` is called. */
  get closing(): AbortSignal {
    return this.#closer.signal;
  }

  /** Throws `CLOSED` once `close` was called: no new work. */
  assertOpen(): void {
    if (this.#closing !== null)
      throw new LeaseholdError("CLOSED", "This coordinator is closed. Create another one to go on.");
  }

  /** An acquire call begins: its claim may hear pushes from before its first request leaves. */
  open(claim: Claim, acquisition: Acquisition): void {
    this.#claims.set(claim.owner, claim);
    this.#acquisitions.add(acquisition);
  }

  /** Throws `TOO_MANY_WAITERS` when this process has as many acquire calls pending as it may have. */
  assertRoomToWait(): void {
    if (this.#acquisitions.size >= this.#maxWaiters)
      throw new LeaseholdError(
        "TOO_MANY_WAITERS",
        `This process has ${this.#maxWaiters} acquire calls waiting already. Shed load, or raise maxWaiters.`,
      );
  }

  /** A claim with this ticket was seen to be granted: where only one can be, whoever held it before holds it no more. */
  sawHolder(resource: string, ticket: bigint): void {
    for (const { claim } of [...this.#leases.values()])
      if (claim.resource === resource && claim.capacity === 1 && (claim.ticket ?? ticket) < ticket)
        claim.superseded();
  }

  settled(acquisition: Acquisition): void {
    this.#acquisitions.delete(acquisition);
  }

  hold(lease: HeldLease): void {
    this.#leases.set(lease.claim, lease);
  }

  /** The claim is over: nobody here waits on it or believes in it, and a push for it is answered by a release. */
  forget(claim: Claim): void {
    this.#claims.delete(claim.owner);
    this.#leases.delete(claim);
    this.renewals.delete(claim);
  }

  /** Notes a body that runs under a lease: the lease is not released before it has settled. */
  track(lease: HeldLease, body: Promise<unknown>): void {
    const settled = body.then(
      () => this.#bodies.delete(lease),
      () => this.#bodies.delete(lease),
    );
    this.#bodies.set(lease, settled);
  }

  /** Notes work that `close` waits for, within its grace. How it ends is its caller's affair. */
  attend(work: Promise<unknown>): void {
    const settled: Promise<boolean> = work.then(
      () => this.#attended.delete(settled),
      () => this.#attended.delete(settled),
    );
    this.#attended.add(settled);
  }

  close(graceMs: number): Promise<void> {
    return (this.#closing ??= this.#close(graceMs));
  }

  async #close(graceMs: number): Promise<void> {
    // One turn, so that `#closing` is set before any listener below can come back with a new acquire.
    await Promise.resolve();
    const reason = new LeaseholdError("CLOSED", "The coordinator was closed.");
    this.#closer.abort(reason);
    for (const acquisition of [...this.#acquisitions]) acquisition.close(reason);
    const leases = [...this.#leases.values()];
    for (const lease of leases) lease.interrupt(reason);
    await Promise.all(leases.map((lease) => this.#endOf(lease, graceMs)));
    await this.#within(graceMs, Promise.all([this.departures.settled(), ...this.#attended]));
    this.departures.stop();
    this.renewals.stop();
    for (const stop of this.#stopListening) stop();
    const left = (users.get(this.backend) ?? 1) - 1;
    users.set(this.backend, left);
    // A store that cannot be told goodbye must not fail whoever shuts down: its claims expire.
    if (left === 0) await Promise.resolve(this.backend[Symbol.asyncDispose]()).catch(() => undefined);
  }

  /** Released once its body has settled; a body that outlives the grace keeps the name for what is left of the ttl. */
  async #endOf(lease: HeldLease, graceMs: number): Promise<void> {
    const body = this.#bodies.get(lease);
    if (body !== undefined) await this.#within(graceMs, body);
    if (!this.#bodies.has(lease)) return lease[Symbol.asyncDispose]();
    lease.stuck(graceMs);
    lease.abandon();
  }

  async #within(limitMs: number, work: Promise<unknown>): Promise<void> {
    const done = new AbortController();
    await Promise.race([
      work.finally(() => done.abort()),
      sleep(this.clock, limitMs, done.signal, { keepAlive: true }),
    ]);
  }

  #tell(claim: Claim, event: (common: TokenEvent) => Parameters<EventListener>[0]): void {
    const lease = this.#leases.get(claim);
    if (lease === undefined) return;
    const { recipe, name, fencingToken, remainingMs } = lease;
    this.emit(event({ recipe, name, claim: claim.owner.slice(0, 8), fencingToken, remainingMs }));
  }
}

interface TokenEvent {
  readonly recipe: string;
  readonly name: string;
  readonly claim: string;
  readonly fencingToken: bigint;
  readonly remainingMs: number;
}
