import type { Address, ManagedServer, Rung } from "./managed-server.ts";

/** A server that somebody else runs: it can be used, and not broken. */
export class ExternalServer implements ManagedServer {
  readonly rung: Rung = "urls";
  readonly canSabotage: boolean = false;
  readonly address: Address;

  constructor(address: Address) {
    this.address = address;
  }

  pause(): Promise<void> {
    return this.#refuse("paused");
  }

  resume(): Promise<void> {
    return this.#refuse("resumed");
  }

  kill(): Promise<void> {
    return this.#refuse("killed");
  }

  start(): Promise<void> {
    return this.#refuse("started");
  }

  restart(): Promise<void> {
    return this.#refuse("restarted");
  }

  async stop(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #refuse(action: string): Promise<never> {
    const { host, port } = this.address;
    return Promise.reject(
      new Error(
        `the server at ${host}:${port} comes from the environment and cannot be ${action}; look at canSabotage first, ` +
          `or unset its variable so that the tests start their own`,
      ),
    );
  }
}
