import type { BackendName } from "../shared/options.ts";
import { runShow } from "../shared/run-show.ts";
import { Timeline } from "../shared/timeline.ts";
import { printVerdict } from "../shared/verdict.ts";
import type { Job } from "./crew.ts";
import { Director } from "./director.ts";
import { makeOrders } from "./orders.ts";
import { buildStage, type Stage } from "./stage.ts";
import { judge } from "./verdict.ts";

const usage = `Customers pay at a service of two replicas, each order under an Idempotency-Key. Replies get lost, customers lose patience and try
again, and one replica is killed when the bank has moved the money and nothing is recorded yet. Nobody may pay twice.

  ./pnpmw example payments [--backend memory|redis|etcd] [--url URL]

  --backend  where the keys are kept. memory (the default): two servers in one process, the kill simulated.
             redis, etcd: two processes, one of them really SIGKILLed.
  --url      a server of yours: redis://host:port, or http://host:port[,http://…] of an etcd. Default: one is started,
             the way the tests do, and stopped again.
  --help     this text

Exits with 1 when an order was charged twice, or not at all, or when two who asked under one key got different results.`;

const shops = ["shop-1", "shop-2"];
const orders = makeOrders(12);
/** Short, so that one need not wait long. An etcd with its default timing grants no less than 2 s. */
const leasesMs: Record<BackendName, number> = { memory: 1_500, redis: 1_500, etcd: 2_000 };
const withinMs = 30_000;

async function play(stage: Stage, job: Job, signal: AbortSignal): Promise<boolean> {
  const timeline = new Timeline();
  timeline.say("payments", `${stage.setting}; lease ${job.leaseMs / 1_000} s`);
  try {
    const history = await new Director(stage, { job, orders }, timeline).play(withinMs, signal);
    timeline.end();
    return printVerdict(judge(history, job.leaseMs));
  } finally {
    timeline.end();
  }
}

await runShow(usage, async ({ backend, url }) => {
  const job: Job = { shops, leaseMs: leasesMs[backend] };
  const stage = await buildStage(backend, job, url);
  const over = new AbortController();
  let playing: Promise<boolean> | undefined;
  return {
    play: () => (playing = play(stage, job, over.signal)),
    strike: async () => {
      // The customers, the bank and the proxies are ours, and would go on without the shops.
      over.abort();
      await playing?.catch(() => undefined);
      await stage.strike();
    },
  };
});
