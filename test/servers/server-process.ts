import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "./find-program.ts";
import { killOnExit } from "./kill-on-exit.ts";
import type { Address, ManagedServer, Rung, ServerRecipe } from "./managed-server.ts";
import { waitUntil } from "./wait-until.ts";

/** A server program run as a child process, on 127.0.0.1, with its data in a temporary folder. */
export class ServerProcess implements ManagedServer {
  readonly rung: Rung;
  readonly address: Address;
  readonly canSabotage: boolean = true;
  readonly #recipe: ServerRecipe;
  readonly #callOffExit: () => void;
  #child: ChildProcess | undefined;
  #dataDir = "";

  private constructor(recipe: ServerRecipe, rung: Rung) {
    this.#recipe = recipe;
    this.#callOffExit = killOnExit(() => {
      this.#child?.kill("SIGKILL");
      this.#removeData();
    });
    this.rung = rung;
    this.address = { host: "127.0.0.1", port: recipe.port };
  }

  static async start(recipe: ServerRecipe, rung: Rung): Promise<ServerProcess> {
    const server = new ServerProcess(recipe, rung);
    try {
      await server.start();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async pause(): Promise<void> {
    this.#signal("SIGSTOP");
  }

  async resume(): Promise<void> {
    this.#signal("SIGCONT");
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    if (hasEnded(child)) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    // Only a child that is referenced keeps this process waiting for its end.
    child.ref();
    child.kill("SIGKILL");
    await ended;
  }

  async start(): Promise<void> {
    const { program, isReady } = this.#recipe;
    if (this.#child) throw new Error(`${program} is already running`);
    const child = this.#spawn();
    this.#child = child;
    let failure: Error | undefined;
    child.once("error", (error) => (failure = error));
    await waitUntil(`${program} is ready`, () => {
      if (failure) throw failure;
      if (hasEnded(child)) throw new Error(`${program} ended at once: ${this.#lastWords()}`);
      return isReady(this.address);
    });
  }

  async restart(options: { wipe?: boolean } = {}): Promise<void> {
    await this.kill();
    if (options.wipe) this.#removeData();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.kill();
    this.#callOffExit();
    this.#removeData();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #spawn(): ChildProcess {
    const { program, args } = this.#recipe;
    this.#dataDir ||= mkdtempSync(join(tmpdir(), `leasehold-${program}-`));
    const command = [program, ...args({ bindHost: this.address.host, dataDir: this.#dataDir })];
    // The exit handler cannot help when the tests themselves are SIGKILLed; where Linux can, it
    // ends the orphan.
    const setpriv = process.platform === "linux" && findProgram("setpriv");
    const [file = program, ...rest] = setpriv ? [setpriv, "--pdeathsig", "KILL", "--", ...command] : command;
    // To a file and not a pipe: a paused or crashed reader must never block the server.
    const output = openSync(this.#logPath, "a");
    const child = spawn(file, rest, { stdio: ["ignore", output, output] });
    closeSync(output);
    child.unref();
    return child;
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.#child?.kill(signal))
      throw new Error(`${this.#recipe.program} is not running: ${signal} has no target`);
  }

  #removeData(): void {
    if (this.#dataDir) rmSync(this.#dataDir, { recursive: true, force: true });
    this.#dataDir = "";
  }

  get #logPath(): string {
    return join(this.#dataDir, "server.log");
  }

  #lastWords(): string {
    return readFileSync(this.#logPath, "utf8").trim().split("\n").slice(-3).join(" | ");
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}
