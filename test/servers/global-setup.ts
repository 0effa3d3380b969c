import type { TestProject } from "vitest/node";
import { startEtcd } from "./etcd.ts";
import { startRedisCluster } from "./redis-cluster.ts";
import { startRedis } from "./redis.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The shared Redis: `redis://host:port`. */
    redisUrl: string;
    /** The nodes of the shared Redis Cluster. */
    redisClusterUrls: string[];
    /** The members of the shared etcd: `http://host:port`. */
    etcdHosts: string[];
  }
}

/**
 * The servers that all tests of a run share, and no test may break: one that wants to pause or kill starts its own.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const lines: string[] = [];
  const log = (line: string): number => lines.push(line);
  const starts = [startRedis({ log }), startRedisCluster({ log }), startEtcd({ log })] as const;
  const stopAll = async (): Promise<void> => {
    const outcomes = await Promise.allSettled(starts);
    const started = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    await Promise.all(started.map((server) => server.stop()));
  };
  try {
    const [redis, cluster, etcd] = await Promise.all(starts);
    project.provide("redisUrl", redis.url);
    project.provide("redisClusterUrls", cluster.urls);
    project.provide("etcdHosts", etcd.hosts);
  } catch (error) {
    await stopAll();
    throw error;
  }
  console.log(`servers: ${lines.join("; ")}`);
  return stopAll;
}
