import { fork, type ChildProcess } from "node:child_process";

/** Runs a file of this repository as a process of its own, which reads `orders` from its first argument. */
export function startChild(program: string, orders: object): ChildProcess {
  return fork(program, [JSON.stringify(orders)], {
    execArgv: ["--conditions=@leasehold/source"],
    // Tokens are bigints, which JSON has not.
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
}

/** Resolves when it has ended well, or was killed by us. Rejects when it ends in any other way. */
export async function endOf(name: string, child: ChildProcess, wasKilled: () => boolean): Promise<void> {
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (complaint += chunk));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once("error", reject);
  child.once("close", (code, signal) => {
    if (code === 0 || wasKilled()) resolve();
    else reject(new Error(`${name} ended with ${signal ?? code}: ${complaint.trim()}`));
  });
  return promise;
}

/** SIGKILL: it also ends one that is stopped. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}
