import { encodeName } from "@leasehold/core";
import { redisBackend } from "@leasehold/redis";
import type { StoreControl } from "@leasehold/testing";
import { Redis, type Cluster } from "ioredis";

/**
 * What of a resource may stay: the hash with its last ticket, and marks of the departed. Both
 * expire.
 */
const mayStay = /^(last|marks|lastmark|!.+)$/;

/** Hands on the data of a Redis, behind the backend's back. */
export function redisData(
  client: Redis | Cluster,
  nodes: readonly { host: string; port: number }[],
): Pick<StoreControl, "deleteClaim" | "flush" | "leftovers"> {
  return {
    // On connections of its own: a cluster's client may still be looking for nodes that came back.
    flush: async () => {
      for (const { host, port } of nodes) {
        const node = new Redis(port, host);
        await node.flushall();
        node.disconnect();
      }
    },
    deleteClaim: async (resource, owner) => {
      const hand = redisBackend(client);
      await hand.leases.release({ resource: { name: resource, announce: true }, owner, timeoutMs: 5_000 });
      await hand[Symbol.asyncDispose]();
    },
    leftovers: async (resources) => {
      const left: string[] = [];
      for (const resource of resources) {
        const base = `leasehold:{${encodeName(resource)}}`;
        for (const key of [`${base}:line`, `${base}:expiry`])
          if ((await client.exists(key)) === 1) left.push(key);
        for (const field of await client.hkeys(base)) if (!mayStay.test(field)) left.push(`${base} ${field}`);
        if ((await client.pttl(base)) === -1) left.push(`${base} never expires`);
      }
      return left;
    },
  };
}
