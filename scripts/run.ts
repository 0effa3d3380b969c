import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";
import { root } from "./packages.ts";

/** A command that ended badly: the message names it, `output` is all that it printed. */
export class CommandFailed extends Error {
  readonly output: string;

  constructor(message: string, output: string) {
    super(message);
    this.name = "CommandFailed";
    this.output = output;
  }
}

/**
 * Runs a program of node_modules/.bin (or of PATH) and resolves with what it printed on stdout.
 *
 * @throws CommandFailed when it exits with another code than 0, or cannot be started
 */
export async function run(command: string, args: readonly string[], cwd: string = root): Promise<string> {
  const bin = join(root, "node_modules", ".bin");
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}` };
  // Windows starts the shims of node_modules/.bin only through its shell.
  const child = spawn(command, args, {
    cwd,
    env,
    shell: process.platform === "win32",
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let all = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
    all += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    all += chunk;
  });
  const told = `${command} ${args.join(" ")}`.trim();
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once("error", (error) =>
      reject(new CommandFailed(`"${told}" did not start: ${error.message}`, all)),
    );
    child.once("close", (exitCode, signal) => resolve(exitCode ?? signal ?? 1));
  });
  if (code !== 0) throw new CommandFailed(`"${told}" ended with ${code}`, all);
  return stdout;
}
