import type { Backend, Clock } from "@leasehold/core";

/** A store, told from one process to another. */
export type StoreSpec =
  | { readonly kind: "memory" }
  | { readonly kind: "redis"; readonly url: string }
  | { readonly kind: "redis cluster"; readonly urls: readonly string[] }
  | { readonly kind: "etcd"; readonly hosts: readonly string[] };

/**
 * A backend of its own on the store, on the system's clock or another. Clients are loaded only as
 * needed: a process on memory must not depend on them.
 */
export async function openBackend(store: StoreSpec, options: { clock?: Clock } = {}): Promise<Backend> {
  switch (store.kind) {
    case "memory": {
      const { memoryBackend } = await import("@leasehold/core/memory");
      return memoryBackend(options);
    }
    case "redis": {
      const { redisBackend } = await import("@leasehold/redis");
      return redisBackend(store.url, options);
    }
    case "redis cluster": {
      const [{ redisBackend }, { Cluster }] = await Promise.all([
        import("@leasehold/redis"),
        import("ioredis"),
      ]);
      return redisBackend(new Cluster([...store.urls]), options);
    }
    case "etcd": {
      const { etcdBackend } = await import("@leasehold/etcd");
      // The servers of the tests grant 1 s.
      return etcdBackend({ hosts: [...store.hosts] }, { ...options, minTtlMs: 1_000 });
    }
  }
}
