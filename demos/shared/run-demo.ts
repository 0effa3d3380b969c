import { readOptions, UsageError, type DemoOptions } from "./options.ts";
import { Run } from "./run.ts";
import { openStore } from "./store.ts";
import { printSummary, type Row } from "./summary.ts";
import { Timeline } from "./timeline.ts";

/** A program that shows something, and checks what it has shown. */
export interface Demo {
  readonly name: string;
  /** What happens. */
  readonly about: string;
  /** What is different on memory and on a server. */
  readonly onBackends: string;
  /** When the exit code is 1. */
  readonly fails: string;
  readonly withinMs: number;
  /** Runs it on the run's store, and resolves with the table at the end. */
  readonly scenario: (run: Run) => Promise<readonly Row[]>;
}

class Interrupted extends Error {}

/**
 * The whole life of such a program: reads its command line, opens the store, runs the scenario,
 * closes all of it. Exit code 1 when not everything held or something failed, 2 for a command line
 * that cannot be understood, 130 after Ctrl-C.
 */
export async function runDemo(demo: Demo): Promise<void> {
  const over = new AbortController();
  try {
    const options = readOptions(process.argv.slice(2));
    if (options.help) return console.log(usage(demo));
    await runOn(demo, options, over);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\n${usage(demo)}`);
      process.exitCode = 2;
    } else if (!(over.signal.reason instanceof Interrupted)) {
      console.error(error instanceof Error ? error.message : error);
      process.exitCode = 1;
    }
  }
}

async function runOn(demo: Demo, { backend, url }: DemoOptions, over: AbortController): Promise<void> {
  // Else Ctrl-C would leave a stopped process behind, and keys on a server that is not ours.
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)
    process.once(signal, () => {
      process.exitCode = code;
      over.abort(new Interrupted());
    });
  const store = await openStore(backend, demo.name, url);
  const timeline = new Timeline();
  const run = new Run(store, timeline, over);
  const late = new Error(`the demo is not over after ${demo.withinMs / 1000} s`);
  const timer = setTimeout(() => run.fail(late), demo.withinMs);
  try {
    const rows = await demo.scenario(run);
    timeline.end();
    if (!printSummary(rows)) process.exitCode = 1;
  } finally {
    clearTimeout(timer);
    timeline.end();
    over.abort();
    await run.close();
    await store[Symbol.asyncDispose]();
  }
}

function usage({ name, about, onBackends, fails }: Demo): string {
  return `${about}

  ./pnpmw demo ${name} [--backend memory|redis|etcd] [--url URL]

  --backend  ${onBackends}
             The default is memory.
  --url      a server of yours: redis://host:port, or http://host:port[,http://…] of an etcd.
             Default: one is started, the way the tests do, and stopped again.
  --help     this text

Exits with 1 when ${fails}.`;
}
