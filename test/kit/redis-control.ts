import { encodeName } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import type { StoreControl } from "@leasehold/testing";
import { Redis, type Cluster } from "ioredis";

/** What of a resource may stay: the hash with its last ticket, and marks of the departed. Both expire. */
const mayStay = new Set(["last", "marks"]);

/** Hands on the data of a Redis, behind the backend's back. */
export function redisData(
  client: Redis | Cluster,
): Pick<StoreControl, "deleteClaim" | "flush" | "leftovers"> {
  return {
    flush: async () => {
      const nodes = client instanceof Redis ? [client] : client.nodes("master");
      await Promise.all(nodes.map((node) => node.flushall()));
    },
    deleteClaim: async (resource, owner) => {
      const hand = redisBackend(client);
      await hand.leases.release({ resource, owner, timeoutMs: 5_000 });
      await hand[Symbol.asyncDispose]();
    },
    leftovers: async (resources) => {
      const left: string[] = [];
      for (const resource of resources) {
        const base = `leasehold:{${encodeName(resource)}}`;
        for (const key of [`${base}:line`, `${base}:expiry`])
          if ((await client.exists(key)) === 1) left.push(key);
        for (const field of await client.hkeys(base)) if (!mayStay.has(field)) left.push(`${base} ${field}`);
        if ((await client.pttl(base)) === -1) left.push(`${base} never expires`);
      }
      return left;
    },
  };
}
