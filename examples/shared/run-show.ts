import { readOptions, UsageError, type ShowOptions } from "./options.ts";

/** Something to be shown: played once, and taken down whatever comes of it. */
export interface Show {
  /** Plays it, prints it, and answers whether everything held. */
  play(): Promise<boolean>;
  /** Ends what runs, and removes what was left. */
  strike(): Promise<void>;
}

class Interrupted extends Error {}

/**
 * The whole life of a program that shows something: reads its command line, builds the show, plays it, takes it down. Exit code
 * 1 when not everything held or something failed, 2 for a command line that cannot be understood, 130 after Ctrl-C.
 */
export async function runShow(usage: string, build: (options: ShowOptions) => Promise<Show>): Promise<void> {
  try {
    await run(usage, build);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\n${usage}`);
      process.exitCode = 2;
    } else if (!(error instanceof Interrupted)) {
      console.error(error instanceof Error ? error.message : error);
      process.exitCode = 1;
    }
  }
}

async function run(usage: string, build: (options: ShowOptions) => Promise<Show>): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) return console.log(usage);
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
  const show = await build(options);
  try {
    const ok = await Promise.race([show.play(), interrupted.promise]);
    if (!ok) process.exitCode = 1;
  } finally {
    await show.strike();
  }
}
