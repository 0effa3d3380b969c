export { etcdBackend } from "./backend.ts";
export type { EtcdBackendOptions, EtcdSource } from "./options.ts";
export { etcdFencingGuard } from "./fencing-guard.ts";
export type { EtcdFencingGuard, EtcdFencingGuardOptions } from "./fencing-guard.ts";
