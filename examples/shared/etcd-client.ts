import { Etcd3 } from "etcd3";

/** A client that gives up on a call after a while; etcd3's own never does. */
export function etcdClient(url: string): Etcd3 {
  const defaultCallOptions = ({ isStream }: { isStream: boolean }): { deadline?: number } =>
    isStream ? {} : { deadline: Date.now() + 5_000 };
  return new Etcd3({ hosts: url.split(","), defaultCallOptions });
}
