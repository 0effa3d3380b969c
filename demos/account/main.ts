import { runDemo } from "../shared/run-demo.ts";
import { scenario } from "./scenario.ts";

await runDemo({
  name: "account",
  about: `Six workers withdraw from one account, behind a fencing guard.
One is killed, one freezes past its lease and then writes.`,
  onBackends: `where the lock and the account live. memory: all in this process, kill and freeze simulated.
             redis, etcd: six worker processes, really SIGKILLed and SIGSTOPped.`,
  fails: "the balance is wrong, a token did not increase, or the stale write was not refused",
  withinMs: 60_000,
  scenario,
});
