export { redisBackend } from "./backend.ts";
export type { RedisBackendOptions } from "./options.ts";
export { redisFencingGuard } from "./fencing-guard.ts";
export type { GuardedScript, RedisFencingGuard, RedisFencingGuardOptions } from "./fencing-guard.ts";
export type { ClusterClient, RedisClient, ScriptClient, SubscriberClient } from "./client/client.ts";
