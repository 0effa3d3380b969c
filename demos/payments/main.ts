import { runDemo } from "../shared/run-demo.ts";
import { scenario } from "./scenario.ts";

await runDemo({
  name: "payments",
  about: `Customers pay at a service of two replicas, each order under an Idempotency-Key. Replies get lost, customers lose
patience and try again, and one replica is killed when the bank has moved the money and nothing is recorded yet.
Nobody may pay twice.`,
  onBackends: `where the keys are kept. memory: two servers in one process, the kill simulated.
             redis, etcd: two processes, one of them really SIGKILLed.`,
  fails: `an order was charged twice, or not at all, or when two who asked under one key got different results`,
  withinMs: 30_000,
  scenario,
});
