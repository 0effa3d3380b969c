import { Redis } from "ioredis";
import type { Address } from "./managed-server.ts";
import { waitUntil } from "./wait-until.ts";

const slots = 16_384;

/**
 * Makes one cluster of these empty nodes, or waits for one that they form already; returns when all
 * say it is ok.
 */
export async function formRedisCluster(nodes: readonly Address[]): Promise<void> {
  const clients = nodes.map(
    ({ host, port }) => new Redis({ host, port, maxRetriesPerRequest: 3, commandTimeout: 5000 }),
  );
  try {
    for (const [index, client] of clients.entries()) {
      const info = await clusterInfo(client);
      // After a restart that kept its data a node knows its slots and its peers.
      if (info.get("cluster_slots_assigned") !== "0") continue;
      const [from, to] = [slotsBefore(index, nodes.length), slotsBefore(index + 1, nodes.length) - 1];
      // Two masters with one epoch would first have to settle who yields.
      await client.call("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
      await client.call("CLUSTER", "ADDSLOTSRANGE", String(from), String(to));
    }
    // Only now: a node that has met another takes no epoch any more.
    for (const client of clients)
      for (const peer of nodes) await client.call("CLUSTER", "MEET", peer.host, String(peer.port));
    await waitUntil("the Redis Cluster is ok on all nodes", async () => {
      const infos = await Promise.all(clients.map((client) => clusterInfo(client)));
      return infos.every((info) => isWhole(info, nodes.length));
    });
  } finally {
    for (const client of clients) client.disconnect();
  }
}

function isWhole(info: Map<string, string>, size: number): boolean {
  return (
    info.get("cluster_state") === "ok" &&
    info.get("cluster_slots_ok") === String(slots) &&
    info.get("cluster_size") === String(size) &&
    info.get("cluster_known_nodes") === String(size)
  );
}

function slotsBefore(index: number, size: number): number {
  return Math.round((slots / size) * index);
}

async function clusterInfo(client: Redis): Promise<Map<string, string>> {
  const lines = String(await client.call("CLUSTER", "INFO")).split("\r\n");
  return new Map(lines.map((line) => [line.split(":")[0] ?? "", line.split(":")[1] ?? ""]));
}
