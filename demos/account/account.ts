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
