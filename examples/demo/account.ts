import { createFencingGuard } from "@leasehold/core";

/** The resource that the lock is for: one balance, behind a fencing guard that lives where the balance lives. */
export interface Account extends AsyncDisposable {
  /** Claims the account for `token`, and then, never before, reads the balance. `STALE_TOKEN` if too late. */
  open(token: bigint): Promise<number>;
  /** Replaces the balance, unless a higher token has claimed the account: then `STALE_TOKEN`, and nothing is written. */
  write(token: bigint, balance: number): Promise<void>;
  /** What the store has, for the table at the end. Claims nothing. */
  read(): Promise<number>;
}

/** An account in this process. */
export function memoryAccount(initial: number): Account {
  const guard = createFencingGuard();
  let balance = initial;
  return {
    open: async (token) => {
      guard.claim(token);
      return balance;
    },
    write: async (token, next) => {
      guard.claim(token);
      balance = next;
    },
    read: async () => balance,
    [Symbol.asyncDispose]: async () => {},
  };
}
