import { checkCount, checkDuration, checkName, checkNamespace, checkTtl } from "./base/arguments.ts";
import { systemRandom, type Random } from "./base/random.ts";
import { Context } from "./context.ts";
import type { Backend, Traits } from "./contract/backend.ts";
import type { ClaimView } from "./contract/lease-store.ts";
import type { Resource } from "./contract/lease-store.ts";
import { invalidArgument } from "./errors.ts";
import { eventSink, type EventListener } from "./events.ts";
import { Admission } from "./idempotency/admission.ts";
import type { Idempotency, IdempotencyOptions } from "./idempotency/idempotency.ts";
import { createIdempotency } from "./idempotency/scoped-idempotency.ts";
import { Session } from "./lease/session.ts";
import { decodeClaimValue, type ClaimOrigin } from "./recipes/claim-value.ts";
import { createElection, type Election, type ElectionOptions } from "./recipes/election.ts";
import { createLock, type Lock } from "./recipes/lock.ts";
import { createMembership, type Membership } from "./recipes/membership.ts";
import { createReadWriteLock, type ReadWriteLock } from "./recipes/read-write-lock.ts";
import { recipes, resourceOf, type Recipe } from "./recipes/resource.ts";
import { createSemaphore, type Semaphore } from "./recipes/semaphore.ts";

export interface CoordinatorOptions {
  /** Where claims are kept. The last coordinator that uses a backend closes it. */
  readonly backend: Backend;
  /**
   * Keeps the names of services apart that share a store; access rules of the store speak of it. 1
   * to 64 letters, digits, dots, underscores or dashes. Default `default`.
   */
  readonly namespace?: string;
  /** The ttl of leases, in milliseconds, where a call does not say. Default 15,000. */
  readonly ttlMs?: number;
  /**
   * How long calls wait in line, in milliseconds, where a call does not say. Infinity is allowed.
   * Default 30,000.
   */
  readonly waitMs?: number;
  /**
   * Hears everything that happens to this coordinator's claims and executions. The same events are
   * published on `node:diagnostics_channel`. Default: none.
   */
  readonly onEvent?: EventListener;
  /** Says who this is (a service, a role) to people who inspect a line. At most 512 bytes. */
  readonly label?: string;
  /** How many claims may wait for one name. Default 1,000. */
  readonly maxWaitersPerName?: number;
  /** How many acquire calls of this coordinator may be pending. Default 10,000. */
  readonly maxWaiters?: number;
  /**
   * How long `close` waits for running bodies and for releases on their way, in milliseconds. A
   * body that ignores its aborted signal for so long is reported as `stuck`. Default 5,000.
   */
  readonly graceMs?: number;
  /** Where owners and jitter are drawn. For tests. Default: the system's generator. */
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
  /** Who made it, by its own account. Null: this SDK did not write the stored text. */
  readonly origin: ClaimOrigin | null;
}

/** What `inspect` shows of a name. */
export interface Inspection {
  /** Who holds the name, oldest first. */
  readonly holders: readonly ClaimDescription[];
  /** Who waits, in order. */
  readonly line: readonly ClaimDescription[];
}

/** The recipes of one process on one store. */
export interface Coordinator extends AsyncDisposable {
  /** What this coordinator's store promises, where stores differ. */
  readonly traits: Traits;
  /** A fair lock of this name (1 to 512 bytes). It costs nothing until it is acquired. */
  lock(name: string): Lock;
  /** A fair, weighted semaphore of that many permits (1 to 2^31-1). */
  semaphore(name: string, options: { readonly permits: number }): Semaphore;
  /** Readers together, writers alone, in order of arrival. */
  readWriteLock(name: string): ReadWriteLock;
  /** One leader at a time, in terms that grow. */
  election(name: string, options: ElectionOptions): Election;
  /** Who is there. */
  membership(name: string): Membership;
  /**
   * Idempotency keys: for each key of this scope at most one execution is believed at a time, and
   * one result is kept. The scope (1 to 512 bytes) keeps tenants and operations apart: the same key
   * in two scopes never meets.
   */
  idempotency(scope: string, options?: IdempotencyOptions): Idempotency;
  /**
   * Who holds this name, and who waits for it; the dead are left out. One round trip. `recipe`
   * defaults to `lock`. Rejects with `BACKEND_UNAVAILABLE`, `OUTCOME_UNKNOWN`, `INVALID_ARGUMENT`
   * or `CLOSED`.
   *
   * @example
   * const { holders, line } = await coordinator.inspect("order:42");
   * console.log(holders[0]?.origin?.host, `and ${line.length} wait`);
   */
  inspect(name: string, options?: { readonly recipe?: Recipe }): Promise<Inspection>;
  /**
   * For operators: takes a claim away from its owner, as `inspect` shows it. True when there was
   * such a claim. Rejects as `inspect` does.
   *
   * The claim can no longer be renewed, and its next renewal tells its holder. It frees when the
   * holder releases it, or at its expiry. So nobody overlaps. With `force` (default false) it frees
   * at once, **while its holder may still believe**, for up to one ttl: only fencing holds then. (A
   * waiter that is forced out cannot tell that from a loss of the store's, and joins again.)
   *
   * @example
   * const { holders } = await coordinator.inspect("order:42");
   * for (const { owner } of holders) await coordinator.evict("order:42", owner);
   */
  evict(
    name: string,
    owner: string,
    options?: { readonly recipe?: Recipe; readonly force?: boolean },
  ): Promise<boolean>;
  /**
   * Ends every wait (`CLOSED`), aborts the signal of every lease, awaits running bodies for up to
   * `graceMs`, and releases all leases in parallel. For what is left of the grace, a second at
   * least, it awaits every release on its way, also those called just before it. Then it closes the
   * backend, if no other coordinator uses it. Never rejects because a store is down: a claim that
   * could not be released expires. A body that outlives the grace keeps its name for what is left
   * of its ttl.
   *
   * @example
   * process.once("SIGTERM", () => void coordinator.close());
   */
  close(): Promise<void>;
  /** Closes: `await using coordinator = createCoordinator(…)`. */
  [Symbol.asyncDispose](): Promise<void>;
}

const requestTimeoutMs = 5_000;

/**
 * Makes a coordinator. It connects to nothing by itself: its backend does. Throws
 * `INVALID_ARGUMENT` on any option out of bounds.
 *
 * @example
 * const coordinator = createCoordinator({ backend: memoryBackend(), namespace: "billing" });
 */
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
      const { holders, line } = await context.backend.leases.inspect(resource(name, recipe).name, options);
      return { holders: holders.map(describe), line: line.map(describe) };
    },
    evict: async (name, owner, { recipe = "lock", force = false } = {}) => {
      if (!/^[0-9a-f]{32}$/.test(owner))
        throw invalidArgument("owner must be 32 hexadecimal digits, as inspect shows it.");
      const request = { resource: resource(name, recipe), owner, timeoutMs: requestTimeoutMs };
      const { leases } = context.backend;
      return force ? leases.release(request) : leases.evict(request);
    },
    traits: backend.traits,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function describe({ owner, ticket, weight, remainingMs, evicted, value }: ClaimView): ClaimDescription {
  return { owner, fencingToken: ticket, weight, remainingMs, evicted, origin: decodeClaimValue(value) };
}
