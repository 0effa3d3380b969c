import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";

import { staleToken } from "@leasehold/core";

import type { GuardedResource } from "./contender.ts";

/**
 * A holder's access to a `FencedResource` in another process. Both calls throw `STALE_TOKEN` when
 * the token is.
 */
export class FencedClient implements GuardedResource {
  readonly #socket: Socket;
  readonly #pending = new Map<string, (answer: string[]) => void>();
  #lastId = 0;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    createInterface({ input: this.#socket }).on("line", (line) => {
      const [id = "", ...answer] = line.split(" ");
      this.#pending.get(id)?.(answer);
      this.#pending.delete(id);
    });
  }

  claim(token: bigint): Promise<number> {
    return this.#ask("claim", token);
  }

  write(token: bigint, value: number): Promise<number> {
    return this.#ask("write", token, value);
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(operation: string, token: bigint, ...value: number[]): Promise<number> {
    const id = String((this.#lastId += 1));
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#pending.set(id, ([outcome, number]) =>
      outcome === "ok" ? resolve(Number(number)) : reject(staleToken(token, null)),
    );
    this.#socket.write(`${[id, operation, token, ...value].join(" ")}\n`);
    return promise;
  }
}
