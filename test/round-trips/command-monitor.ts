import { randomUUID } from "node:crypto";

import { Redis } from "ioredis";

/** One command as a Redis server took it. */
export interface SeenCommand {
  /** In lower case: `evalsha`. */
  readonly name: string;
  readonly args: readonly string[];
}

/**
 * Counts what clients ask of one Redis, by its own MONITOR: each command once, in the order in
 * which the server took them. What scripts call is left out (the server marks it `lua`), and so is
 * what this monitor itself sends, and what is asked about a connection: INFO when it stands, PING
 * after a silence.
 */
export class CommandMonitor implements AsyncDisposable {
  readonly #control: Redis;
  readonly #monitor: Redis;
  readonly #filter: (command: SeenCommand) => boolean;
  #seen: SeenCommand[] = [];
  #mark: { id: string; reached: (seen: SeenCommand[]) => void } | null = null;

  private constructor(control: Redis, monitor: Redis, filter: (command: SeenCommand) => boolean) {
    this.#control = control;
    this.#monitor = monitor;
    this.#filter = filter;
    monitor.on("monitor", (_time: string, [name = "", ...args]: string[], source: string) => {
      if (source !== "lua") this.#see({ name: name.toLowerCase(), args });
    });
  }

  /**
   * Only commands that pass `filter` are counted; default all, for a server of which nobody else
   * knows.
   */
  static async watch(
    url: string,
    filter: (command: SeenCommand) => boolean = () => true,
  ): Promise<CommandMonitor> {
    const control = new Redis(url);
    return new CommandMonitor(control, await control.monitor(), filter);
  }

  /**
   * The commands since the last call. Everything that the server has taken by now is among them.
   */
  async since(): Promise<SeenCommand[]> {
    const { promise, resolve } = Promise.withResolvers<SeenCommand[]>();
    const id = randomUUID();
    this.#mark = { id, reached: resolve };
    await this.#control.echo(id);
    return promise;
  }

  /** The same as names, each with its count. */
  async counts(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { name } of await this.since()) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  }

  /** How often the server was asked to run a script, as its own statistics count it. */
  async scriptCalls(): Promise<number> {
    const stats = await this.#control.info("commandstats");
    return [...stats.matchAll(/cmdstat_(?:evalsha|eval|fcall):calls=(\d+)/g)].reduce(
      (sum, [, calls]) => sum + Number(calls),
      0,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#monitor.disconnect();
    this.#control.disconnect();
  }

  #see(command: SeenCommand): void {
    const { name, args } = command;
    if (this.#mark !== null && name === "echo" && args[0] === this.#mark.id) {
      const { reached } = this.#mark;
      this.#mark = null;
      reached(this.#seen);
      this.#seen = [];
    } else if (name !== "info" && name !== "ping" && this.#filter(command)) this.#seen.push(command);
  }
}
