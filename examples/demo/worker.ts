import { isLeaseholdError, type Lease, type Lock } from "@leasehold/core";
import { nowMs } from "../shared/now-ms.ts";
import type { Account } from "./account.ts";

/** What a worker tells. `atMs` is on the machine's monotonic clock, which all its processes share. */
export type WorkerEvent = { readonly atMs: number } & (
  | { readonly kind: "granted"; readonly token: bigint }
  | { readonly kind: "opened"; readonly token: bigint; readonly balance: number }
  | { readonly kind: "withdrew"; readonly token: bigint; readonly balance: number }
  | { readonly kind: "refused"; readonly token: bigint; readonly stillHeld: boolean; readonly why: string }
  | { readonly kind: "finished" }
);

export interface Work {
  readonly worker: string;
  readonly lock: Lock;
  readonly account: Account;
  readonly amount: number;
  readonly withdrawals: number;
  readonly report: (event: WorkerEvent) => void;
  /** The work between reading and writing, where the demo kills and freezes. */
  readonly work: () => Promise<void>;
}

/** Takes the lock, reads the balance, works, writes the new balance, releases; until it has made its withdrawals. */
export async function withdrawInTurn(options: Work): Promise<void> {
  const { worker, lock, account, amount, withdrawals, report, work } = options;
  let made = 0;

  async function withdraw(lease: Lease): Promise<void> {
    const token = lease.fencingToken;
    report({ atMs: nowMs(), kind: "granted", token });
    const balance = await account.open(token);
    report({ atMs: nowMs(), kind: "opened", token, balance });
    await work();
    // A service would call lease.assertHeld() here. This one writes whatever it says, as a process does that was stopped
    // right after the look, or whose request was already on its way: the guard alone has to stop it.
    const stillHeld = lease.isHeld();
    const left = balance - amount;
    try {
      await account.write(token, left);
    } catch (error) {
      if (isLeaseholdError(error, "STALE_TOKEN"))
        report({ atMs: nowMs(), kind: "refused", token, stillHeld, why: error.message });
      throw error;
    }
    report({ atMs: nowMs(), kind: "withdrew", token, balance: left });
    made += 1;
  }

  while (made < withdrawals) {
    try {
      await lock.run(withdraw, { metadata: { worker } });
    } catch (error) {
      // Too late, or no longer the holder: an ordinary event. The next turn begins with a new look at the balance.
      if (!isLeaseholdError(error, "STALE_TOKEN") && !isLeaseholdError(error, "LEASE_LOST")) throw error;
    }
  }
  report({ atMs: nowMs(), kind: "finished" });
}
