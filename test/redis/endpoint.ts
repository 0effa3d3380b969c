import { connect, createServer, type AddressInfo, type Socket } from "node:net";

import type { Address } from "../servers/index.ts";

/**
 * The one address of a group of servers, as a host name or a balancer gives it: new connections
 * reach whom it leads to now, and those that stand are left alone.
 */
export class Endpoint implements AsyncDisposable {
  /** How many connections were accepted. */
  accepted = 0;
  target: Address;
  readonly #server = createServer((socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();

  constructor(target: Address) {
    this.target = target;
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(near: Socket): void {
    this.accepted += 1;
    const far = connect(this.target);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }
}
