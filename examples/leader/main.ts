import type { BackendName } from "../shared/options.ts";
import { runShow } from "../shared/run-show.ts";
import { Timeline } from "../shared/timeline.ts";
import { printVerdict } from "../shared/verdict.ts";
import { Director } from "./director.ts";
import { buildStage, type Stage } from "./stage.ts";
import { judge } from "./verdict.ts";

const usage = `Three candidates stand for election. The leader is killed, and the next one takes over; then that one resigns, and hands over.

  ./pnpmw example leader [--backend memory|redis|etcd] [--url URL]

  --backend  where the election lives. memory (the default): three coordinators in one process, the kill simulated.
             redis, etcd: three processes, one of them really SIGKILLed.
  --url      a server of yours: redis://host:port, or http://host:port[,http://…] of an etcd. Default: one is started,
             the way the tests do, and stopped again.
  --help     this text

Exits with 1 when a term did not grow, two led at once, or a takeover took too long.`;

const candidates = ["host-1", "host-2", "host-3"];
/** Short, so that one need not wait long. An etcd with its default timing grants no less than 2 s. */
const ttlsMs: Record<BackendName, number> = { memory: 1_500, redis: 1_500, etcd: 2_000 };
const withinMs = 30_000;

async function play(stage: Stage, ttlMs: number): Promise<boolean> {
  const timeline = new Timeline();
  timeline.say("leader", `${stage.setting}; ttl ${ttlMs / 1000} s`);
  try {
    const history = await new Director(stage, { candidates, ttlMs }, timeline).play(withinMs);
    timeline.end();
    return printVerdict(judge(history, ttlMs));
  } finally {
    timeline.end();
  }
}

await runShow(usage, async ({ backend, url }) => {
  const ttlMs = ttlsMs[backend];
  const stage = await buildStage(backend, { candidates, ttlMs }, url);
  return { play: () => play(stage, ttlMs), strike: () => stage.strike() };
});
