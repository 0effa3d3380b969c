import { runContainer, type Container } from "./docker-engine.ts";
import type { Address, ManagedServer, Rung, ServerRecipe } from "./managed-server.ts";
import { waitUntil } from "./wait-until.ts";

type RunningContainer = Awaited<ReturnType<typeof runContainer>>;

/**
 * A server in a container of its own, published on 127.0.0.1; its data lives as long as the
 * container.
 */
export class ServerContainer implements ManagedServer {
  readonly rung: Rung = "docker";
  readonly canSabotage: boolean = true;
  readonly address: Address;
  readonly #recipe: ServerRecipe;
  readonly #networkOf: Container | undefined;
  #running: RunningContainer | undefined;
  #paused = false;

  private constructor(recipe: ServerRecipe, networkOf: Container | undefined) {
    this.#recipe = recipe;
    this.#networkOf = networkOf;
    this.address = { host: "127.0.0.1", port: recipe.port };
  }

  /**
   * With `networkOf`, that container's network is used, and it is that one which publishes the
   * port.
   */
  static async start(
    recipe: ServerRecipe,
    options: { networkOf?: Container } = {},
  ): Promise<ServerContainer> {
    const server = new ServerContainer(recipe, options.networkOf);
    await server.#create();
    return server;
  }

  async pause(): Promise<void> {
    await this.#container.pause();
    this.#paused = true;
  }

  async resume(): Promise<void> {
    // Docker refuses to resume what runs; a signal does not mind.
    if (!this.#paused) return;
    await this.#container.unpause();
    this.#paused = false;
  }

  async kill(): Promise<void> {
    // Docker does not kill a paused container.
    await this.resume();
    const { State: state } = await this.#container.inspect();
    if (!state.Running) return;
    const ended = this.#container.wait();
    await this.#container.kill({ signal: "SIGKILL" });
    await ended;
  }

  async start(): Promise<void> {
    await this.#container.start();
    await this.#ready(this.#container);
  }

  async restart(options: { wipe?: boolean } = {}): Promise<void> {
    await this.kill();
    if (!options.wipe) {
      await this.start();
      return;
    }
    await this.stop();
    await this.#create();
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    this.#paused = false;
    await running?.remove();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #container(): Container {
    if (!this.#running) throw new Error(`the container of ${this.#recipe.program} was stopped`);
    return this.#running.container;
  }

  async #create(): Promise<void> {
    const { program, args, image, port } = this.#recipe;
    this.#running = await runContainer({
      image,
      command: [program, ...args({ bindHost: "0.0.0.0", dataDir: "/tmp" })],
      ...(this.#networkOf ? { networkOf: this.#networkOf } : { ports: [port] }),
      waitUntilReady: (container) => this.#ready(container),
    });
  }

  #ready(container: Container): Promise<void> {
    const { program, isReady } = this.#recipe;
    return waitUntil(`${program} in a container is ready`, async () => {
      if (await isReady(this.address)) return true;
      if (!(await container.inspect()).State.Running)
        throw new Error(`${program} in a container ended at once`);
      return false;
    });
  }
}
