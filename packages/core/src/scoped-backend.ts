import type { Scope } from "./base/scope.ts";
import type { Backend } from "./contract/backend.ts";

/**
 * A backend whose calls, and all that they set off, run in `scope`: sockets that are dialled at the
 * first call, timers, and what is pushed. Else they would belong to whichever caller came first,
 * for the life of the process. A caller's own context comes back with its `await`.
 */
export function scopedBackend(backend: Backend, scope: Scope): Backend {
  const { leases, idempotency } = backend;
  return {
    name: backend.name,
    traits: backend.traits,
    clock: backend.clock,
    leases: {
      acquire: (request) => scope(() => leases.acquire(request)),
      renew: (requests, options) => scope(() => leases.renew(requests, options)),
      release: (request) => scope(() => leases.release(request)),
      propose: (request) => scope(() => leases.propose(request)),
      evict: (request) => scope(() => leases.evict(request)),
      inspect: (resource, options) => scope(() => leases.inspect(resource, options)),
      look: (resource, options) => scope(() => leases.look(resource, options)),
      watch: (resource, listener) => scope(() => leases.watch(resource, () => scope(listener))),
      onGrant: (listener) =>
        scope(() =>
          leases.onGrant({
            granted: (push) => scope(() => listener.granted(push)),
            lookAgain: () => scope(() => listener.lookAgain()),
            knows: (owner) => listener.knows?.(owner) ?? true,
          }),
        ),
    },
    idempotency: {
      maxBodyBytes: idempotency.maxBodyBytes,
      begin: (request) => scope(() => idempotency.begin(request)),
      extend: (request) => scope(() => idempotency.extend(request)),
      finish: (request) => scope(() => idempotency.finish(request)),
      watch: (record, listener) => scope(() => idempotency.watch(record, () => scope(listener))),
    },
    onDegraded: (listener) => scope(() => backend.onDegraded((told) => scope(() => listener(told)))),
    onRestored: (listener) => scope(() => backend.onRestored((told) => scope(() => listener(told)))),
    [Symbol.asyncDispose]: () => scope(() => backend[Symbol.asyncDispose]()),
  };
}
