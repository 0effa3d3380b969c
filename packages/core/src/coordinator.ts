import { checkCount, checkDuration, checkName, checkNamespace, checkTtl } from "./base/arguments.ts";
import type { Backend, Traits } from "./contract/backend.ts";
import type { ClaimView } from "./contract/lease-store.ts";
import { decodeClaimValue, type ClaimOrigin } from "./recipes/claim-value.ts";
import { invalidArgument } from "./errors.ts";
import { eventSink, type EventListener } from "./events.ts";
import { createElection, type Election, type ElectionOptions } from "./recipes/election.ts";
import { createIdempotency } from "./idempotency/scoped-idempotency.ts";
import type { Idempotency, IdempotencyOptions } from "./idempotency/idempotency.ts";
import { createLock, type Lock } from "./recipes/lock.ts";
import { createMembership, type Membership } from "./recipes/membership.ts";
import { systemRandom, type Random } from "./base/random.ts";
import { createReadWriteLock, type ReadWriteLock } from "./recipes/read-write-lock.ts";
import { createSemaphore, type Semaphore } from "./recipes/semaphore.ts";
import { Session } from "./lease/session.ts";
import { recipes, resourceOf, type Recipe } from "./recipes/resource.ts";
import { Context } from "./context.ts";
import { Admission } from "./idempotency/admission.ts";
import type { Resource } from "./contract/lease-store.ts";

export interface CoordinatorOptions {
  /** Where claims are kept. Closed with the last coordinator that uses it. */
  readonly backend: Backend;
  /** Keeps names of services apart that share a store, and names the keys that access rules speak of. Default `default`. */
  readonly namespace?: string;
  /** Default ttl of leases, in milliseconds. Default 15,000. */
  readonly ttlMs?: number;
  /** Default wait in line, in milliseconds; Infinity is allowed. Default 30,000. */
  readonly waitMs?: number;
  /** Told of everything that happens to this coordinator's claims. Also published on `node:diagnostics_channel`. */
  readonly onEvent?: EventListener;
  /** Who this is, for people who inspect a line: a service, a role. At most 512 bytes. */
  readonly label?: string;
  /** How many claims may wait for one name. Default 1,000. */
  readonly maxWaitersPerName?: number;
  /** How many acquire calls of this coordinator may be pending. Default 10,000. */
  readonly maxWaiters?: number;
  /** How long `close` waits for running bodies, and after which a body that ignores its signal is reported. Default 5,000. */
  readonly graceMs?: number;
  /** Where owners and jitter are drawn. Default: the system's generator. For tests. */
  readonly random?: Random;
}

/** A claim, as `inspect` shows it. */
export interface ClaimDescription {
  readonly owner: string;
  readonly fencingToken: bigint;
  readonly weight: number;
  /** How long it lives on without renewal, by the store's clock, in milliseconds. */
  readonly remainingMs: number;
  /** Whether it was evicted: it can no longer be renewed. */
  readonly evicted: boolean;
  /** Who it says it is; null when the stored text is not what this SDK writes. */
  readonly origin: ClaimOrigin | null;
}

export interface Inspection {
  /** Who holds it, oldest first. */
  readonly holders: readonly ClaimDescription[];
  /** Who waits, in order. */
  readonly line: readonly ClaimDescription[];
}

export interface Coordinator extends AsyncDisposable {
  /** What differs between stores: those of this coordinator's. */
  readonly traits: Traits;
  /** A fair lock by this name (1 to 512 bytes). Costs nothing until it is acquired. */
  lock(name: string): Lock;
  /** A fair, weighted semaphore of that many permits (1 to 2^31-1). */
  semaphore(name: string, options: { readonly permits: number }): Semaphore;
  /** Readers together, writers alone, in order of arrival. */
  readWriteLock(name: string): ReadWriteLock;
  /** A leader at a time, and terms that grow. */
  election(name: string, options: ElectionOptions): Election;
  /** Who is there. */
  membership(name: string): Membership;
  /**
   * At most one believed execution, and one result, for each key of this scope. The scope is what keeps tenants and operations
   * apart: the same key in two scopes never meets. 1 to 512 bytes, as keys.
   */
  idempotency(scope: string, options?: IdempotencyOptions): Idempotency;
  /** Who holds and who waits for this name, the dead left out. One round trip. `recipe`: default `lock`. */
  inspect(name: string, options?: { readonly recipe?: Recipe }): Promise<Inspection>;
  /**
   * For operators: takes a claim away from its owner, as `inspect` shows it. It can no longer be renewed; its holder is told
   * by its next renewal, and it frees when the holder acknowledges, or at its expiry: so nobody overlaps. With `force` it
   * frees at once, **while its holder may still believe**, for up to one ttl: only fencing holds then. True when there was
   * such a claim.
   */
  evict(
    name: string,
    owner: string,
    options?: { readonly recipe?: Recipe; readonly force?: boolean },
  ): Promise<boolean>;
  /**
   * Ends every wait (`CLOSED`), aborts every lease's signal, awaits running bodies for up to `graceMs`, releases in
   * parallel, and closes the backend if no other coordinator uses it. Never rejects because a store is down: what could not
   * be released expires. A body that outlives the grace keeps its name for what is left of its ttl.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const requestTimeoutMs = 5_000;

/** Throws `INVALID_ARGUMENT` on any option out of bounds. */
export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const backend = options?.backend;
  if (typeof backend?.leases?.acquire !== "function")
    throw invalidArgument("backend is missing: pass memoryBackend(), redisBackend(…) or etcdBackend(…).");
  const defaults = {
    ttlMs: checkTtl(options.ttlMs ?? 15_000, backend.traits, backend.name),
    waitMs: checkDuration("waitMs", options.waitMs ?? 30_000, { infinite: true }),
    graceMs: checkDuration("graceMs", options.graceMs ?? 5_000),
    label: options.label === undefined ? undefined : checkName("label", options.label),
  };
  const limits = {
    maxWaitersPerName: checkCount("maxWaitersPerName", options.maxWaitersPerName ?? 1_000, 100_000),
    maxWaiters: checkCount("maxWaiters", options.maxWaiters ?? 10_000, 1_000_000),
  };
  const context = new Context({
    backend,
    namespace: checkNamespace(options.namespace ?? "default"),
    random: options.random ?? systemRandom,
    emit: eventSink(options.onEvent),
  });
  const session = new Session(context, limits);
  const admission = new Admission(context);
  const close = (): Promise<void> => session.close(defaults.graceMs);
  const named = (name: string): string => {
    context.assertOpen();
    return checkName("name", name);
  };
  const resource = (name: string, recipe: Recipe = "lock"): Resource => {
    if (!recipes.includes(recipe)) throw invalidArgument(`recipe must be one of ${recipes.join(", ")}.`);
    return resourceOf(context.namespace, recipe, named(name));
  };
  return {
    lock: (name) => createLock(session, named(name), defaults),
    semaphore: (name, shape) => createSemaphore(session, named(name), shape?.permits, defaults),
    readWriteLock: (name) => createReadWriteLock(session, named(name), defaults),
    election: (name, candidacy) => createElection(session, named(name), candidacy, defaults),
    membership: (name) => createMembership(session, named(name), defaults),
    idempotency: (scope, policy = {}) => {
      context.assertOpen();
      return createIdempotency(context, admission, checkName("scope", scope), policy, defaults);
    },
    inspect: async (name, { recipe } = {}) => {
      const options = { timeoutMs: requestTimeoutMs };
      const { holders, line } = await backend.leases.inspect(resource(name, recipe).name, options);
      return { holders: holders.map(describe), line: line.map(describe) };
    },
    evict: async (name, owner, { recipe = "lock", force = false } = {}) => {
      if (!/^[0-9a-f]{32}$/.test(owner))
        throw invalidArgument("owner must be 32 hexadecimal digits, as inspect shows it.");
      const request = { resource: resource(name, recipe), owner, timeoutMs: requestTimeoutMs };
      return force ? backend.leases.release(request) : backend.leases.evict(request);
    },
    traits: backend.traits,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function describe({ owner, ticket, weight, remainingMs, evicted, value }: ClaimView): ClaimDescription {
  return { owner, fencingToken: ticket, weight, remainingMs, evicted, origin: decodeClaimValue(value) };
}
