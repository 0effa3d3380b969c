import type { Backend } from "@leasehold/core";
import type { Place } from "./place.ts";

/** One process's way to the store. */
export async function backendAt({ kind, url, run }: Place): Promise<Backend> {
  switch (kind) {
    case "redis": {
      const { redisBackend } = await import("@leasehold/redis");
      return redisBackend(url, { prefix: run });
    }
    case "etcd": {
      const { etcdBackend } = await import("@leasehold/etcd");
      return etcdBackend({ hosts: url.split(",") }, { prefix: run });
    }
  }
}
