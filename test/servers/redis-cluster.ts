import { ExternalServer } from "./external-server.ts";
import { formRedisCluster } from "./form-redis-cluster.ts";
import { freePort } from "./free-port.ts";
import type { ManagedServer } from "./managed-server.ts";
import { addressOf, redisKind, redisRecipe, urlOf, type RedisOptions } from "./redis.ts";
import { climb, type ServerKind } from "./rung.ts";
import { ServerGroup } from "./server-group.ts";
import { startMemberContainers, startMemberProcesses } from "./start-members.ts";

export interface RedisCluster extends ManagedServer {
  /** `redis://host:port` of every node. */
  readonly urls: string[];
  /** The nodes, in the order of `urls`; each can be paused, killed and started by itself. */
  readonly members: readonly ManagedServer[];
}

const clusterKind = (): ServerKind => ({
  ...redisKind(),
  name: "redis cluster",
  urlVariable: "LEASEHOLD_REDIS_CLUSTER_URL",
});

/**
 * Starts a Redis Cluster of three masters without replicas, ready when each of them says so. On
 * rung "urls" it is the one of `LEASEHOLD_REDIS_CLUSTER_URL` (one node or several, separated by
 * commas).
 */
export async function startRedisCluster(
  options: Pick<RedisOptions, "persistence" | "log"> = {},
): Promise<RedisCluster> {
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  const recipes = ports.map((port) => redisRecipe(port, { ...options, args: clusterArgs }));
  const nodes = ports.map((port) => ({ host: "127.0.0.1", port }));
  const hooks = { afterStart: () => formRedisCluster(nodes) };
  const group = await climb(
    clusterKind(),
    {
      urls: (urls) => new ServerGroup(urls.split(",").map((url) => externalNode(url.trim()))),
      docker: () => startMemberContainers(recipes, hooks),
      path: (rung) => startMemberProcesses(recipes, rung, hooks),
    },
    { log: options.log },
  );
  const urls = group.members.map((node) => (node instanceof ExternalNode ? node.url : urlOf(node.address)));
  return Object.assign(group, { urls });
}

const clusterArgs = [
  ...["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"],
  // Nodes and clients alike must find each node at the address that it tells.
  ...["--cluster-announce-ip", "127.0.0.1"],
];

class ExternalNode extends ExternalServer {
  readonly url: string;

  constructor(url: string) {
    super(addressOf(url));
    this.url = url;
  }
}

function externalNode(url: string): ManagedServer {
  return new ExternalNode(url);
}
