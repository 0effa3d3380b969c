import { spawn } from "node:child_process";
import { join } from "node:path";

import { compileCache } from "./compile-cache.ts";

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const root = join(import.meta.dirname, "..");

/** The longest show takes half a minute where nothing else runs. */
const hangingMs = 120_000;

/**
 * Runs a file of this repository as its own process, on the packages' sources, without colours.
 * SIGKILLed, and an error, when it hangs.
 */
export async function runNode(
  file: string,
  args: readonly string[] = [],
  options: { interruptWhen?: (stdout: string) => boolean } = {},
): Promise<Ended> {
  const { interruptWhen } = options;
  const child = spawn(process.execPath, ["--conditions=@leasehold/source", file, ...args], {
    cwd: root,
    env: { ...process.env, ...compileCache, NO_COLOR: "1", NODE_NO_WARNINGS: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  let interrupted = false;
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
    if (interrupted || interruptWhen?.(stdout) !== true) return;
    interrupted = true;
    child.kill("SIGINT");
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    reject(new Error(`${file} had not ended after ${hangingMs} ms:\n${stdout}${stderr}`));
  }, hangingMs);
  child.once("error", reject);
  child.once("close", (code) => resolve({ code, stdout, stderr }));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
