import { DatabaseSync } from "node:sqlite";
import { createCoordinator, isLeaseholdError, staleToken } from "@leasehold/core";
import { memoryBackend } from "@leasehold/core/memory";

/** Any database can do it, with one column: the highest token that has touched the row. */
const db = new DatabaseSync(":memory:");
db.exec(
  "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, fence INTEGER NOT NULL) STRICT",
);
db.exec("INSERT INTO account VALUES (7, 1000, 0)");

const claim = db.prepare(
  "UPDATE account SET fence = :token WHERE id = 7 AND fence <= :token RETURNING balance",
);
const write = db.prepare("UPDATE account SET balance = :balance WHERE id = 7 AND fence = :token");

/** A holder's first statement. To check on writes alone loses updates: see docs/fencing.md. */
function claimAndRead(token: bigint): number {
  const row = claim.get({ token });
  if (row === undefined) throw staleToken(token, null);
  return Number(row["balance"]);
}

function writeBalance(token: bigint, balance: number): void {
  if (write.run({ token, balance }).changes === 0) throw staleToken(token, null);
}

const coordinator = createCoordinator({ backend: memoryBackend(), namespace: "bank" });
const lock = coordinator.lock("account:7");

const slow = await lock.acquire();
const stale = claimAndRead(slow.fencingToken);
await slow.release(); // Stands for a pause that outlasts the lease.

await lock.run(({ fencingToken }) => {
  writeBalance(fencingToken, claimAndRead(fencingToken) - 100);
});

try {
  writeBalance(slow.fencingToken, stale - 10);
} catch (error) {
  if (!isLeaseholdError(error, "STALE_TOKEN")) throw error;
  const row = db.prepare("SELECT balance FROM account WHERE id = 7").get();
  console.log("refused:", error.code, "the balance is", row?.["balance"]);
}
await coordinator.close();
