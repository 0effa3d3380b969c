import { staleToken } from "@leasehold/core";
import { etcdBackend, etcdFencingGuard } from "@leasehold/etcd";
import type { Etcd3 } from "etcd3";
import { etcdClient } from "../shared/etcd-client.ts";
import type { Place } from "../shared/place.ts";
import type { Account } from "./account.ts";
import { accountName } from "./crew.ts";
import type { Connection } from "./place.ts";

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
