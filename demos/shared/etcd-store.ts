import { Etcd3 } from "etcd3";
import { startEtcd } from "../../test/servers/index.ts";
import type { StoreKind } from "./store-kind.ts";

export const etcd: StoreKind = {
  title: "etcd",
  start: async () => {
    const server = await startEtcd();
    return { url: server.hosts.join(","), stop: () => server.stop() };
  },
  connect: (url) => {
    const client = etcdClient(url);
    return {
      ping: () => client.get("any").exists(),
      removeKeys: async (run) => client.delete().prefix(`${run}/`),
      close: () => client.close(),
    };
  },
};

/** A client that gives up on a call after a while; etcd3's own never does. */
export function etcdClient(url: string): Etcd3 {
  const defaultCallOptions = ({ isStream }: { isStream: boolean }): { deadline?: number } =>
    isStream ? {} : { deadline: Date.now() + 5_000 };
  return new Etcd3({ hosts: url.split(","), defaultCallOptions });
}
