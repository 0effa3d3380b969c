import { staleToken } from "@leasehold/core";
import { etcdBackend, etcdFencingGuard } from "@leasehold/etcd";
import { Etcd3 } from "etcd3";
import type { Account } from "./account.ts";
import { accountName } from "./crew.ts";
import type { Connection, Place } from "./place.ts";

/** A client that gives up on a call after a while; etcd3's own never does. */
export function etcdClient(url: string): Etcd3 {
  const defaultCallOptions = ({ isStream }: { isStream: boolean }): { deadline?: number } =>
    isStream ? {} : { deadline: Date.now() + 5_000 };
  return new Etcd3({ hosts: url.split(","), defaultCallOptions });
}

/** The account's balance is a key, and each write of it a transaction that holds only while the fence is ours. */
export function connectEtcd({ url, run }: Place): Connection {
  return {
    backend: etcdBackend({ hosts: url.split(",") }, { prefix: run }),
    account: etcdAccount(etcdClient(url), run),
  };
}

/** Closes `client` with it. */
export function etcdAccount(client: Etcd3, run: string): Account {
  const guard = etcdFencingGuard(client, { prefix: run });
  const key = balanceKey(run);
  const read = async (): Promise<number> => {
    const { kvs } = await client.kv.range({ key });
    return Number(kvs[0]?.value);
  };
  return {
    open: async (token) => {
      await guard.claim(accountName, token);
      return read();
    },
    write: async (token, balance) => {
      const { succeeded } = await client.kv.txn({
        compare: guard.compare(accountName, token),
        success: [{ request_put: { key, value: Buffer.from(String(balance)) } }],
      });
      if (!succeeded) throw staleToken(token, null);
    },
    read,
    [Symbol.asyncDispose]: async () => client.close(),
  };
}

export function balanceKey(run: string): Buffer {
  return Buffer.from(`${run}/${accountName}/balance`);
}
