import { createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";

import { createFencingGuard, isLeaseholdError } from "@leasehold/core";

/** One attempt, in the order in which the resource saw them. */
export interface LoggedAttempt {
  readonly operation: "claim" | "write";
  readonly token: bigint;
  readonly accepted: boolean;
  /** On `process.hrtime.bigint()`. */
  readonly atNs: bigint;
}

/**
 * A counter behind a fencing guard, in this process, for holders in others: what the locks protect.
 * A line is `<id> claim <token>` or `<id> write <token> <value>`; the answer is `<id> ok <value>`,
 * or `<id> stale`. Every attempt is logged.
 */
export class FencedResource implements AsyncDisposable {
  readonly attempts: LoggedAttempt[] = [];
  value = 0;
  readonly #guard = createFencingGuard();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor() {
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      // A client that is killed resets its connection, which is what the tests are about. The
      // reader passes that on.
      socket.on("error", () => {});
      createInterface({ input: socket })
        .on("error", () => {})
        .on("line", (line) => socket.write(`${this.#answer(line)}\n`));
    });
  }

  static async listen(): Promise<FencedResource> {
    const resource = new FencedResource();
    await new Promise<void>((resolve, reject) => {
      resource.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return resource;
  }

  get port(): number {
    const address = this.#server.address();
    if (typeof address !== "object" || address === null) throw new Error("the fenced resource is closed");
    return address.port;
  }

  /** The same for holders in this process. Throws `STALE_TOKEN`. */
  attempt(operation: "claim" | "write", token: bigint, value?: number): number {
    const atNs = process.hrtime.bigint();
    try {
      this.#guard.claim(token);
    } catch (error) {
      this.attempts.push({ operation, token, accepted: false, atNs });
      throw error;
    }
    this.attempts.push({ operation, token, accepted: true, atNs });
    if (operation === "write") this.value = value ?? this.value;
    return this.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(line: string): string {
    const [id, operation, token = "", value] = line.split(" ");
    try {
      return `${id} ok ${this.attempt(operation === "write" ? "write" : "claim", BigInt(token), Number(value))}`;
    } catch (error) {
      if (isLeaseholdError(error, "STALE_TOKEN")) return `${id} stale`;
      throw error;
    }
  }
}
