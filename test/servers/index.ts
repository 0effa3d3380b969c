export { startEtcd, type EtcdOptions, type EtcdServer } from "./etcd.ts";
export type { Address, ManagedServer, Rung } from "./managed-server.ts";
export { startRedisCluster, type RedisCluster } from "./redis-cluster.ts";
export { startRedis, type RedisOptions, type RedisServer } from "./redis.ts";
export type { ServerLog } from "./rung.ts";
