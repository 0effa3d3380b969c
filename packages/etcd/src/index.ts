export { etcdBackend } from "./etcd-backend.ts";
export type { EtcdBackendOptions, EtcdSource } from "./options.ts";
export { etcdFencingGuard } from "./etcd-fencing-guard.ts";
export type { EtcdFencingGuard, EtcdFencingGuardOptions } from "./etcd-fencing-guard.ts";
