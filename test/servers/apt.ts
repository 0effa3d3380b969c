import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { findProgram } from "./find-program.ts";

const packages: Record<string, string> = { "redis-server": "redis-server", etcd: "etcd-server" };
let queue: Promise<unknown> = Promise.resolve();

/** Why apt cannot be used here, or undefined if it can. */
export function aptObstacle(): string | undefined {
  if (!findProgram("apt-get")) return "there is no apt-get here";
  return process.getuid?.() === 0 ? undefined : "not root";
}

/** The Debian package that has this program. */
export function aptPackage(program: string): string {
  return packages[program] ?? program;
}

/**
 * Installs the package of this program, unless it is on PATH by now. One at a time: dpkg has one
 * lock.
 */
export function aptInstall(program: string): Promise<void> {
  const done = queue.then(async () => {
    if (findProgram(program)) return;
    const install = ["install", "-y", "--no-install-recommends", aptPackage(program)];
    try {
      await aptGet(install);
    } catch {
      // A fresh machine has no package lists, an old one has stale ones.
      await aptGet(["update"]);
      await aptGet(install);
    }
  });
  queue = done.catch(() => {});
  return done;
}

async function aptGet(args: string[]): Promise<void> {
  // RUNLEVEL=1 keeps Debian from starting the service. Where it does so all the same, nothing is
  // disturbed: ours never use the standard ports.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  await promisify(execFile)("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=120", ...args], { env });
}
