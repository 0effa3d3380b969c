import { staleToken } from "@leasehold/core";
import { etcdFencingGuard } from "@leasehold/etcd";
import { etcdClient } from "../shared/etcd-store.ts";
import type { ServerAddress } from "../shared/store.ts";
import { accountName, type Account } from "./account.ts";

/**
 * The balance is a key, and each write of it a transaction that holds only while the fence is ours.
 */
export function etcdAccount({ url, run }: ServerAddress): Account {
  const client = etcdClient(url);
  const guard = etcdFencingGuard(client, { prefix: run });
  const key = Buffer.from(`${run}/${accountName}/balance`);
  const read = async (): Promise<number> => Number((await client.kv.range({ key })).kvs[0]?.value);
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
    create: async (balance) => void (await client.put(key).value(balance)),
    [Symbol.asyncDispose]: async () => client.close(),
  };
}
