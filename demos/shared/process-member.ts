import { fork } from "node:child_process";
import { join } from "node:path";
import type { Member, MemberSpec, Program } from "./member.ts";

const entry = join(import.meta.dirname, "member-process.ts");

/** A member as a process of its own, killed and frozen by signals. */
export function processMember<Config, Heard, Told>(
  { file }: Program<Config, Heard, Told>,
  spec: MemberSpec<Config>,
  hear: (message: Told) => void,
): Member<Heard> {
  const child = fork(entry, [JSON.stringify({ file, spec })], {
    execArgv: ["--conditions=@leasehold/source"],
    // Tokens are bigints, which JSON has not.
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  child.on("message", hear);
  let killed = false;
  let complaint = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (complaint += chunk));
  const closed = Promise.withResolvers<void>();
  child.once("error", closed.reject);
  child.once("close", (code, signal) => {
    if (code === 0 || killed) closed.resolve();
    else closed.reject(new Error(`${spec.name} ended with ${signal ?? code}: ${complaint.trim()}`));
  });
  return {
    ended: closed.promise,
    // One that cannot be told has ended, which `ended` reports.
    send: (message) => void child.send(message as object, () => undefined),
    kill: async () => {
      killed = true;
      child.kill("SIGKILL");
      await closed.promise.catch(() => undefined);
    },
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
  };
}
