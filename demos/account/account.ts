import { createFencingGuard } from "@leasehold/core";
import type { MemoryStore } from "@leasehold/core/memory";
import type { StoreAddress } from "../shared/store.ts";

/** The lock's name and the account's, in every store. */
export const accountName = "account:7";

/**
 * The resource that the lock is for: one balance, behind a fencing guard that lives where the
 * balance lives.
 */
export interface Account extends AsyncDisposable {
  /**
   * Claims the account for `token`, and then, never before, reads the balance. `STALE_TOKEN` if too
   * late.
   */
  open(token: bigint): Promise<number>;
  /**
   * Replaces the balance. `STALE_TOKEN`, and nothing is written, if a higher token has claimed the
   * account.
   */
  write(token: bigint, balance: number): Promise<void>;
  /** What the store has, for the table at the end. Claims nothing. */
  read(): Promise<number>;
  /** Sets the balance, before anybody works. Claims nothing. */
  create(balance: number): Promise<void>;
}

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
