import { afterAll } from "vitest";

import { beatServer } from "../stall/index.ts";
import { isHealthy, startEtcd, type EtcdOptions, type EtcdServer } from "./etcd.ts";
import type { Address, ManagedServer } from "./managed-server.ts";
import { watchSabotage } from "./sabotage.ts";
import { startRedisCluster, type RedisCluster } from "./redis-cluster.ts";
import { answersPing, startRedis, type RedisOptions, type RedisServer } from "./redis.ts";

/**
 * A Redis for the test file that calls this at its top level, stopped after the file's last test.
 * Files run side by side, and none sees another's keys, load or sabotage. On rung "urls" it is
 * everybody's: look at `canSabotage` first.
 */
export async function redisForThisFile(options?: RedisOptions): Promise<RedisServer> {
  return untilTheFileEnds(await startRedis(options), answersPing);
}

/**
 * The same with a Redis Cluster. It takes two seconds to form, so only files that need one ask for
 * it.
 */
export async function redisClusterForThisFile(
  options?: Pick<RedisOptions, "persistence">,
): Promise<RedisCluster> {
  return untilTheFileEnds(await startRedisCluster(options), answersPing);
}

/** The same with an etcd. */
export async function etcdForThisFile(options?: EtcdOptions): Promise<EtcdServer> {
  return untilTheFileEnds(await startEtcd(options), isHealthy);
}

/** Stops a server after the file's last test. Until then its stalls are known: see `test/stall`. */
export function untilTheFileEnds<S extends ManagedServer>(
  server: S,
  answers: (address: Address) => Promise<boolean>,
): S {
  const sabotage = watchSabotage(server);
  const stopBeating = beatServer(() => answers(server.address), { sabotage });
  // Hooks run in reverse: what the file registers after this is closed before its server is.
  afterAll(async () => {
    stopBeating();
    await server.stop();
  });
  return server;
}
