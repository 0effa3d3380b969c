import type { BackendName } from "../shared/options.ts";
import { runShow } from "../shared/run-show.ts";
import { Timeline } from "../shared/timeline.ts";
import { printVerdict } from "../shared/verdict.ts";
import type { Job } from "./crew.ts";
import { Director } from "./director.ts";
import type { Stage, StageBuilder } from "./stage.ts";
import { judge } from "./verdict.ts";
import { summarise } from "./withdrawal.ts";

const usage = `Six workers withdraw from one account, behind a fencing guard. One is killed, one freezes past its lease and then writes.

  ./pnpmw demo [--backend memory|redis|etcd] [--url URL]

  --backend  where the lock and the account live. memory (the default): all in this process, kill and freeze simulated.
             redis, etcd: six worker processes, really SIGKILLed and SIGSTOPped.
  --url      a server of yours: redis://host:port, or http://host:port[,http://…] of an etcd. Default: one is started,
             the way the tests do, and stopped again.
  --help     this text

Exits with 1 when the balance is wrong, a token did not increase, or the stale write was not refused.`;

const initial = 1000;
const job: Omit<Job, "ttlMs"> = {
  workers: ["worker-1", "worker-2", "worker-3", "worker-4", "worker-5", "worker-6"],
  amount: 10,
  withdrawals: 8,
};
/** Short, so that one need not wait long for the takeovers. An etcd with its default timing grants no less than 2 s. */
const ttlsMs: Record<BackendName, number> = { memory: 1_500, redis: 1_500, etcd: 2_000 };
const withinMs = 60_000;

async function builderOf(backend: BackendName): Promise<StageBuilder> {
  switch (backend) {
    case "memory":
      return (await import("./memory-stage.ts")).memoryStage;
    case "redis":
      return (await import("./redis-stage.ts")).redisStage;
    case "etcd":
      return (await import("./etcd-stage.ts")).etcdStage;
  }
}

/** Plays it, prints it, and answers whether everything held. */
async function play(stage: Stage, ttlMs: number): Promise<boolean> {
  const timeline = new Timeline({ summarise });
  const { amount, withdrawals } = job;
  timeline.say("demo", stage.setting);
  timeline.say(
    "demo",
    `each withdraws ${amount} from an account with ${initial}, ${withdrawals} times; ttl ${ttlMs / 1000} s`,
  );
  try {
    const history = await new Director({ ...stage, job: { ...job, ttlMs }, timeline }).play(withinMs);
    timeline.end();
    return printVerdict(judge(history, { initial, amount, found: await stage.account.read() }).rows);
  } finally {
    timeline.end();
  }
}

await runShow(usage, async ({ backend, url }) => {
  const ttlMs = ttlsMs[backend];
  const build = await builderOf(backend);
  const stage = await build({ ...job, ttlMs }, initial, url);
  return { play: () => play(stage, ttlMs), strike: () => stage.strike() };
});
