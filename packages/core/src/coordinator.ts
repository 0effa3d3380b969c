import { checkCount, checkDuration, checkName, checkNamespace, checkTtl } from "./arguments.ts";
import type { Backend, ClaimView } from "./backend.ts";
import { decodeClaimValue, type ClaimOrigin } from "./claim-value.ts";
import { invalidArgument } from "./errors.ts";
import { eventSink, type EventListener } from "./events.ts";
import { LineLock, type Lock } from "./lock.ts";
import { systemRandom, type Random } from "./random.ts";
import { Session } from "./session.ts";

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
  /** A fair lock by this name (1 to 512 bytes). Costs nothing until it is acquired. */
  lock(name: string): Lock;
  /** Who holds and who waits for the lock of this name, the dead left out. One round trip. */
  inspect(name: string): Promise<Inspection>;
  /**
   * Ends every wait (`CLOSED`), aborts every lease's signal, awaits running bodies for up to `graceMs`, releases in
   * parallel, and closes the backend if no other coordinator uses it. Never rejects because a store is down: what could not
   * be released expires. A body that outlives the grace keeps its name for what is left of its ttl.
   */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const inspectTimeoutMs = 5_000;
const lockShape = { recipe: "lock", capacity: 1, weight: 1 };

/** Throws `INVALID_ARGUMENT` on any option out of bounds. */
export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { backend } = options;
  if (typeof backend?.leases?.acquire !== "function")
    throw invalidArgument("backend is missing: pass memoryBackend(), redisBackend(…) or etcdBackend(…).");
  const defaults = {
    ttlMs: checkTtl(options.ttlMs ?? 15_000, backend.traits, backend.name),
    waitMs: checkDuration("waitMs", options.waitMs ?? 30_000, { infinite: true }),
    graceMs: checkDuration("graceMs", options.graceMs ?? 5_000),
  };
  const session = new Session({
    backend,
    namespace: checkNamespace(options.namespace ?? "default"),
    random: options.random ?? systemRandom,
    emit: eventSink(options.onEvent),
    maxWaitersPerName: checkCount("maxWaitersPerName", options.maxWaitersPerName ?? 1_000, 100_000),
    maxWaiters: checkCount("maxWaiters", options.maxWaiters ?? 10_000, 1_000_000),
  });
  const close = (): Promise<void> => session.close(defaults.graceMs);
  return {
    lock: (name) => {
      session.assertOpen();
      return new LineLock(session, checkName("name", name), lockShape, defaults);
    },
    inspect: async (name) => {
      session.assertOpen();
      const resource = `${session.namespace}:${lockShape.recipe}:${checkName("name", name)}`;
      const { holders, line } = await backend.leases.inspect(resource, { timeoutMs: inspectTimeoutMs });
      return { holders: holders.map(describe), line: line.map(describe) };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function describe({ owner, ticket, weight, remainingMs, value }: ClaimView): ClaimDescription {
  return { owner, fencingToken: ticket, weight, remainingMs, origin: decodeClaimValue(value) };
}
