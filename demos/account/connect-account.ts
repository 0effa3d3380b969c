import { createFencingGuard } from "@leasehold/core";
import type { MemoryStore } from "@leasehold/core/memory";
import type { StoreAddress } from "../shared/store.ts";
import type { Account } from "./account.ts";

/** One participant's way to the account. */
export async function connectAccount(address: StoreAddress): Promise<Account> {
  switch (address.kind) {
    case "memory":
      return memoryAccount(address.store);
    case "redis":
      return (await import("./redis-account.ts")).redisAccount(address);
    case "etcd":
      return (await import("./etcd-account.ts")).etcdAccount(address);
  }
}

const inMemory = new WeakMap<MemoryStore, Account>();

/** All who connect by the same store share one. */
function memoryAccount(store: MemoryStore): Account {
  const known = inMemory.get(store);
  if (known !== undefined) return known;
  const guard = createFencingGuard();
  let balance = 0;
  const account: Account = {
    open: async (token) => {
      guard.claim(token);
      return balance;
    },
    write: async (token, next) => {
      guard.claim(token);
      balance = next;
    },
    read: async () => balance,
    create: async (initial) => void (balance = initial),
    [Symbol.asyncDispose]: async () => {},
  };
  inMemory.set(store, account);
  return account;
}
