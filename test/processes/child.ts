import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

import { compileCache } from "../compile-cache.ts";
import { killOnExit } from "../servers/kill-on-exit.ts";
import { LateError, patienceMs, stalls } from "../stall/index.ts";

/**
 * One line that a child said: see `worker-io.ts`. Token and time fields are decimal text, being
 * bigints.
 */
export interface Message {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Listener {
  readonly type: string;
  readonly resolve: (message: Message) => void;
}

/**
 * A worker process under the test's control. What it says is kept, so nothing can be missed between
 * two waits. It never outlives the test: disposing kills it, also when it is stopped.
 */
export class Child implements AsyncDisposable {
  readonly messages: Message[] = [];
  /** Resolves when the process has ended and all that it said was read. */
  readonly ended: Promise<Ending>;
  /** When it ended, on `process.hrtime.bigint()`. */
  endedAtNs: bigint | null = null;
  readonly #script: string;
  readonly #process: ChildProcess;
  readonly #listeners = new Set<Listener>();
  #output = "";
  #stoppedAtNs: bigint | null = null;
  #continuedAtNs: bigint | null = null;

  /** Runs `test/processes/<script>` with `args`, which it reads by `workerArgs()`. */
  constructor(script: string, args: object) {
    this.#script = script;
    const path = fileURLToPath(new URL(script, import.meta.url));
    // Commands go over the channel of `process.send`: a pipe on stdin that is read would keep the
    // process alive. Messages come by a pipe of their own, so that whatever a library prints is
    // seen for what it is.
    this.#process = spawn(process.execPath, ["--conditions=@leasehold/source", path, JSON.stringify(args)], {
      stdio: ["ignore", "pipe", "pipe", "ipc", "pipe"],
      env: { ...process.env, ...compileCache, NODE_OPTIONS: "" },
    });
    const callOff = killOnExit(() => this.kill("SIGKILL"));
    const [, stdout, stderr, , messages] = this.#process.stdio;
    for (const output of [stdout, stderr])
      output?.on("data", (bytes: Buffer) => (this.#output += bytes.toString()));
    if (messages instanceof Readable)
      createInterface({ input: messages }).on("line", (line) => this.#hear(parsed(line)));
    this.#process.on("exit", () => (this.endedAtNs = process.hrtime.bigint()));
    this.ended = new Promise((resolve) => {
      this.#process.once("close", (code, signal) => {
        callOff();
        resolve({ code, signal });
      });
    });
  }

  /** What it printed, which should be nothing. */
  get output(): string {
    return this.#output;
  }

  /**
   * Warnings and unhandled rejections that it reported, and half a line from one that was killed.
   */
  get troubles(): readonly Message[] {
    return this.messages.filter(({ type }) => type === "trouble");
  }

  /** Everything it said of this type. */
  all(type: string): readonly Message[] {
    return this.messages.filter((message) => message.type === type);
  }

  /**
   * The first message of this type, said or to come. Throws with what was said instead when the
   * child ends, or when it hangs.
   */
  async heard(type: string): Promise<Message> {
    const said = this.messages.find((message) => message.type === type);
    if (said !== undefined) return said;
    const { promise, resolve } = Promise.withResolvers<Message>();
    const listener = { type, resolve };
    this.#listeners.add(listener);
    const silence = (why: string): Error =>
      new LateError(`no "${type}" from the child: ${why}. It said ${this.#summary()} ${this.#output}`);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(silence(`not within ${patienceMs} ms`)), patienceMs);
    const ended = this.ended.then(({ code, signal }) => {
      throw silence(`it ended with ${code ?? signal}`);
    });
    try {
      return await Promise.race([promise, late, ended]);
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(listener);
      ended.catch(() => {});
    }
  }

  /** Sends a command; the child takes it by `nextCommand()`. */
  tell(command: string | object): void {
    // A child that is gone already shows in what the test waits for next.
    this.#process.send(command, () => {});
  }

  /** SIGSTOP, SIGCONT, SIGKILL. Says whether there was a process to take it. */
  kill(signal: NodeJS.Signals): boolean {
    if (signal === "SIGSTOP") this.#stoppedAtNs = process.hrtime.bigint();
    if (signal === "SIGCONT") this.#continuedAtNs = process.hrtime.bigint();
    return this.#process.kill(signal);
  }

  /** How it ended. Throws when it goes on and on. */
  async ending(): Promise<Ending> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const hanging = (): void =>
      reject(new LateError(`the child still runs after ${patienceMs} ms. It said ${this.#summary()}`));
    const timer = setTimeout(hanging, patienceMs);
    try {
      return await Promise.race([this.ended, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      // A stopped process takes SIGKILL as well, but not every supervisor between us and it passes
      // that on.
      this.kill("SIGCONT");
      this.kill("SIGKILL");
    }
    await this.ended;
  }

  #hear(message: Message): void {
    if (message.type === "stalled") return this.#hasStalled(message);
    this.messages.push(message);
    for (const listener of this.#listeners) if (listener.type === message.type) listener.resolve(message);
  }

  #hasStalled(message: Message): void {
    const [fromNs, toNs] = [BigInt(String(message["fromNs"])), BigInt(String(message["toNs"]))];
    const [stoppedNs, continuedNs] = [this.#stoppedAtNs, this.#continuedAtNs];
    // The test itself stopped it: no fault of the machine's.
    const isOurs = stoppedNs !== null && toNs > stoppedNs && (continuedNs === null || fromNs < continuedNs);
    const { pid } = this.#process;
    if (!isOurs) stalls.record({ fromNs, toNs, of: this.#script, ...(pid !== undefined && { pid }) });
  }

  #summary(): string {
    return JSON.stringify(this.messages).slice(0, 2_000);
  }
}

function parsed(line: string): Message {
  try {
    return JSON.parse(line) as Message;
  } catch {
    return { type: "trouble", event: "garbled", line: line.slice(0, 200) };
  }
}
