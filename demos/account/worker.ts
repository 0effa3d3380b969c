import { isLeaseholdError, type Lease } from "@leasehold/core";
import type { MemberContext, Program } from "../shared/member.ts";
import { nowMs } from "../shared/now-ms.ts";
import { accountName } from "./account.ts";
import { connectAccount } from "./connect-account.ts";

/** What a worker is told: to begin, and in each of its turns to go on from reading to writing. */
export type WorkerMessage = "start" | "go on";

/**
 * What a worker tells. `atMs` is on the machine's monotonic clock, which all its processes share.
 */
export type WorkerEvent = { readonly atMs: number } & (
  | { readonly kind: "ready" | "finished" }
  | { readonly kind: "granted"; readonly token: bigint }
  | { readonly kind: "opened"; readonly token: bigint; readonly balance: number }
  | { readonly kind: "withdrew"; readonly token: bigint; readonly balance: number }
  | { readonly kind: "refused"; readonly token: bigint; readonly stillHeld: boolean; readonly why: string }
);

export interface Job {
  readonly amount: number;
  readonly withdrawals: number;
}

type Context = MemberContext<Job, WorkerMessage, WorkerEvent>;

const worker: Program<Job, WorkerMessage, WorkerEvent> = { file: import.meta.filename, main };
export default worker;

/**
 * Takes the lock, reads the balance, works, writes the new balance, releases; until it has made its
 * withdrawals.
 */
async function main({ name, config, address, coordinator, tell, listen }: Context): Promise<void> {
  const { amount, withdrawals } = config;
  const account = await connectAccount(address);
  const lock = coordinator.lock(accountName);
  const next = inbox(listen);
  let made = 0;

  async function withdraw(lease: Lease): Promise<void> {
    const token = lease.fencingToken;
    tell({ atMs: nowMs(), kind: "granted", token });
    const balance = await account.open(token);
    tell({ atMs: nowMs(), kind: "opened", token, balance });
    await next("go on");
    // A service would call lease.assertHeld() here. This one writes whatever it says, as a process
    // does that was stopped right after the look, or whose request was already on its way: the
    // guard alone has to stop it.
    const stillHeld = lease.isHeld();
    const left = balance - amount;
    try {
      await account.write(token, left);
    } catch (error) {
      if (isLeaseholdError(error, "STALE_TOKEN"))
        tell({ atMs: nowMs(), kind: "refused", token, stillHeld, why: error.message });
      throw error;
    }
    tell({ atMs: nowMs(), kind: "withdrew", token, balance: left });
    made += 1;
  }

  await account.read();
  tell({ atMs: nowMs(), kind: "ready" });
  await next("start");
  while (made < withdrawals) {
    try {
      await lock.run(withdraw, { metadata: { name } });
    } catch (error) {
      // Too late, or no longer the holder: an ordinary event. The next turn begins with a new look
      // at the balance.
      if (!isLeaseholdError(error, "STALE_TOKEN") && !isLeaseholdError(error, "LEASE_LOST")) throw error;
    }
  }
  tell({ atMs: nowMs(), kind: "finished" });
  await account[Symbol.asyncDispose]();
}

/** Messages wait until somebody asks for them, so that a "go on" that comes early is not lost. */
function inbox(listen: Context["listen"]): (expected: WorkerMessage) => Promise<void> {
  const messages: WorkerMessage[] = [];
  let wake = (): void => {};
  listen((message) => {
    messages.push(message);
    wake();
  });
  return async (expected) => {
    while (!messages.includes(expected)) await new Promise<void>((resolve) => (wake = resolve));
    messages.splice(messages.indexOf(expected), 1);
  };
}
