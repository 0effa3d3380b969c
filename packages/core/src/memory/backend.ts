import type {
  Backend,
  GrantListener,
  GrantPush,
  Granted,
  Queued,
  Refused,
  RenewAnswer,
} from "../contract/backend.ts";
import { nothingProved, type Clock, type Instant } from "../base/clock.ts";
import { LeaseholdError } from "../errors.ts";
import { systemRandom, type Random } from "../base/random.ts";
import type { Standing } from "./line.ts";
import { MemoryStore } from "./store.ts";

export interface MemoryBackendOptions {
  /** Share a line with other backends of this process. Default: a store of its own. */
  readonly store?: MemoryStore;
  /** Default: the store's clock. */
  readonly clock?: Clock;
  readonly random?: Random;
}

/**
 * The in-process backend: the embedded default, and the specification that the other stores are tested against. Claims live
 * and die with this process, so it excludes callers within it, and nobody else.
 */
export function memoryBackend(options: MemoryBackendOptions = {}): Backend {
  const store = options.store ?? new MemoryStore(options.clock === undefined ? {} : { clock: options.clock });
  const clock = options.clock ?? store.clock;
  const inbox = (options.random ?? systemRandom).hex(8);
  const listeners = new Set<GrantListener>();
  const closing = new AbortController();
  let disposed = false;

  const deliver = (push: GrantPush): void => {
    const known = [...listeners].map((listener) => listener.granted(push)).includes(true);
    // Nobody waits on this grant any more: give it back, or it would block the line for a whole ttl.
    if (!known) store.release({ ...push, announce: true, timeoutMs: 0 });
  };
  const unsubscribe = store.subscribe(inbox, deliver);

  const open = (): void => {
    if (disposed) throw new LeaseholdError("CLOSED", "This memory backend is closed.");
  };
  const answer = (standing: Standing, ttlMs: number, validFrom: Instant): Granted | Queued | Refused => {
    if (standing.kind === "refused") return standing;
    const { claim, aheadMs } = standing;
    const acknowledged = {
      ticket: claim.ticket,
      ttlMs,
      validFrom: claim.evicted ? nothingProved : validFrom,
    };
    return claim.granted
      ? { kind: "granted", ...acknowledged }
      : { kind: "queued", ...acknowledged, aheadMs };
  };

  const backend: Backend = {
    name: "memory",
    traits: { consistency: "linearizable", minTtlMs: 20, ttlStepMs: 1 },
    clock,
    leases: {
      acquire: async (request) => {
        open();
        const validFrom = clock.now();
        return answer(store.acquire(request, inbox), request.ttlMs, validFrom);
      },
      renew: async (requests) =>
        requests.map((request): RenewAnswer => {
          if (disposed)
            return {
              kind: "unanswered",
              error: new LeaseholdError("CLOSED", "This memory backend is closed."),
            };
          const validFrom = clock.now();
          const standing = store.renew(request);
          if (standing?.kind !== "claim") return { kind: "gone" };
          const { ticket, granted, evicted } = standing.claim;
          if (evicted) return { kind: "evicted" };
          return {
            kind: "renewed",
            ticket,
            granted,
            ttlMs: request.ttlMs,
            validFrom,
            aheadMs: standing.aheadMs,
          };
        }),
      release: async (request) => {
        open();
        return store.release(request);
      },
      propose: async (request) => {
        open();
        return store.propose(request);
      },
      evict: async (request) => {
        open();
        return store.evict(request);
      },
      watch: (resource, signal) => {
        open();
        return store.watch(resource, AbortSignal.any([signal, closing.signal]));
      },
      inspect: async (resource) => {
        open();
        return store.inspect(resource);
      },
      onGrant: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    livesOn: (dependency) => dependency === backend || dependency === store,
    idempotency: {
      maxBodyBytes: 8 * 2 ** 20,
      begin: async (request) => {
        open();
        const validFrom = clock.now();
        const reply = store.idempotency.begin(request);
        return reply.kind === "begun" ? { ...reply, leaseMs: request.leaseMs, validFrom } : reply;
      },
      extend: async (request) => {
        open();
        const validFrom = clock.now();
        const kind = store.idempotency.extend(request);
        return kind === "extended" ? { kind, leaseMs: request.leaseMs, validFrom } : { kind };
      },
      finish: async (request) => {
        open();
        return store.idempotency.finish(request);
      },
      watch: (record, signal) => {
        open();
        return store.watch(record, AbortSignal.any([signal, closing.signal]));
      },
    },
    // A store inside the process is never out of reach.
    onDegraded: () => () => {},
    [Symbol.asyncDispose]: async () => {
      disposed = true;
      closing.abort();
      unsubscribe();
      listeners.clear();
    },
  };
  return backend;
}
