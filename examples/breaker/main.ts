import type { BackendName } from "../shared/options.ts";
import { runShow } from "../shared/run-show.ts";
import { Timeline } from "../shared/timeline.ts";
import { printVerdict } from "../shared/verdict.ts";
import type { Job } from "./crew.ts";
import { Director } from "./director.ts";
import { buildStage, type Stage } from "./stage.ts";
import { judge } from "./verdict.ts";

const usage = `Five nodes call one dependency, through a circuit breaker that they share. One node loses it, and goes without; then all
lose it: they vote, the circuit opens for everybody, one node at a time probes, and it closes for everybody.

  ./pnpmw example breaker [--backend memory|redis|etcd] [--url URL]

  --backend  where the votes live. memory (the default): five coordinators in one process. redis, etcd: five processes.
  --url      a server of yours: redis://host:port, or http://host:port[,http://…] of an etcd. Default: one is started,
             the way the tests do, and stopped again.
  --help     this text

Exits with 1 when one node opened the circuit, the fleet did not open or close in time, anything but a probe was sent
while it was open, or more than one probe ran at once.`;

const nodes = ["host-1", "host-2", "host-3", "host-4", "host-5"];
/** An etcd with its default timing grants no less than 2 s. */
const ttlsMs: Record<BackendName, number> = { memory: 1_500, redis: 1_500, etcd: 2_000 };
const withinMs = 40_000;

async function play(stage: Stage, job: Job): Promise<boolean> {
  const timeline = new Timeline();
  timeline.say("breaker", `${stage.setting}; looked at every ${job.pollMs} ms while not closed`);
  try {
    const history = await new Director(stage, job, timeline).play(withinMs);
    timeline.end();
    return printVerdict(judge(history, job));
  } finally {
    timeline.end();
  }
}

await runShow(usage, async ({ backend, url }) => {
  const job: Job = { nodes, share: 0.6, ttlMs: ttlsMs[backend], pollMs: 500, openMs: 800 };
  const stage = await buildStage(backend, job, url);
  return { play: () => play(stage, job), strike: () => stage.strike() };
});
