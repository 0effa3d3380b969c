export { etcdBackend } from "./backend.ts";
export type { EtcdBackendOptions, EtcdClient, EtcdCredentials, EtcdLogin, EtcdSource } from "./options.ts";
export { etcdFencingGuard } from "./fencing-guard.ts";
export type { EtcdFencingGuard, EtcdFencingGuardOptions } from "./fencing-guard.ts";
