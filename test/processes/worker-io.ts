import { writeSync } from "node:fs";

import { beatHeart } from "../stall/heartbeat.ts";

/** A pipe of our own, which no library opens, and so none makes non-blocking: see `child.ts`. */
const messagesFd = 4;

/** What the test gave to this process. */
export function workerArgs<T>(): T {
  return JSON.parse(process.argv[2] ?? "{}") as T;
}

/**
 * Says one line to the test. Written through to the pipe before this returns: it is not lost when
 * the process is stopped or killed right after, and leaves no handle behind that could keep the
 * process alive. Bigints become decimal text.
 */
export function say(type: string, fields: object = {}): void {
  const text = JSON.stringify({ type, ...fields }, (_, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
  const bytes = Buffer.from(`${text}\n`);
  for (let written = 0; written < bytes.length;) written += writeSync(messagesFd, bytes, written);
}

const commands: unknown[] = [];
let waiting: ((command: unknown) => void) | null = null;
process.on("message", (command) => {
  if (waiting === null) commands.push(command);
  else waiting(command);
});
process.channel?.unref();
// Libraries look at them on first use, which opens a pipe each: not now one and then the other, but
// here.
void [process.stdout, process.stderr];

/**
 * The next command of the test, one at a time. Keeps the process alive only while it is waited for.
 */
export async function nextCommand<T = unknown>(): Promise<T> {
  if (commands.length === 0) {
    process.channel?.ref();
    commands.push(await new Promise((resolve) => (waiting = resolve)));
    waiting = null;
    process.channel?.unref();
  }
  return commands.shift() as T;
}

/**
 * Reports what must not happen in any child, unhandled rejections and warnings (Node's own news
 * aside), and when the machine gave this one no turn.
 */
export function reportTroubles(): void {
  beatHeart((stall) => say("stalled", stall));
  process.on("unhandledRejection", (reason) => {
    say("trouble", { event: "unhandledRejection", reason: String(reason) });
    process.exitCode = 70;
  });
  process.on("warning", ({ name, message, stack }) => {
    if (name !== "ExperimentalWarning") say("trouble", { event: "warning", name, message, stack });
  });
}

/** A field of an error that says which it is. */
export function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" ? code : String(error);
}
