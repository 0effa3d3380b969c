import { styleText } from "node:util";
import type { Job } from "./crew.ts";
import { Director } from "./director.ts";
import { readOptions, usage, UsageError, type BackendName } from "./options.ts";
import type { Stage, StageBuilder } from "./stage.ts";
import { Timeline } from "./timeline.ts";
import { judge, type Row } from "./verdict.ts";

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
  const timeline = new Timeline();
  const { amount, withdrawals } = job;
  timeline.say("demo", stage.setting);
  timeline.say(
    "demo",
    `each withdraws ${amount} from an account with ${initial}, ${withdrawals} times; ttl ${ttlMs / 1000} s`,
  );
  try {
    const history = await new Director({ ...stage, job: { ...job, ttlMs }, timeline }).play(withinMs);
    timeline.end();
    const found = await stage.account.read();
    const { rows, ok } = judge(history, { initial, amount, found });
    console.log(`\n${rows.map(tableLine).join("\n")}\n`);
    console.log(
      ok ? styleText("green", "Everything held.") : styleText("red", "NOT everything held: see the table."),
    );
    return ok;
  } finally {
    timeline.end();
  }
}

function tableLine({ what, found, ok }: Row): string {
  const mark = ok === undefined ? " " : ok ? styleText("green", "✓") : styleText("red", "✗");
  return `  ${mark} ${what.padEnd(28)} ${found}`;
}

async function main(): Promise<void> {
  const { backend, url, help } = readOptions(process.argv.slice(2));
  if (help) return console.log(usage);
  const ttlMs = ttlsMs[backend];
  const interrupted = Promise.withResolvers<never>();
  // Without these, Ctrl-C would leave a stopped worker behind, and keys on a server that is not ours.
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)
    process.once(signal, () => {
      process.exitCode = code;
      interrupted.reject(new Interrupted());
    });
  interrupted.promise.catch(() => undefined);
  const build = await builderOf(backend);
  const stage = await build({ ...job, ttlMs }, initial, url);
  try {
    const ok = await Promise.race([play(stage, ttlMs), interrupted.promise]);
    if (!ok) process.exitCode = 1;
  } finally {
    await stage.strike();
  }
}

class Interrupted extends Error {}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${usage}`);
    process.exitCode = 2;
  } else if (!(error instanceof Interrupted)) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
