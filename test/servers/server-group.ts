import type { Address, ManagedServer, Rung } from "./managed-server.ts";

/** Servers that form one: each can be broken by itself, or all at once through the group. */
export class ServerGroup<Member extends ManagedServer = ManagedServer> implements ManagedServer {
  readonly members: readonly Member[];
  readonly #afterStart: () => Promise<void>;
  readonly #afterStop: () => Promise<void>;

  constructor(
    members: readonly Member[],
    hooks: { afterStart?: () => Promise<void>; afterStop?: () => Promise<void> } = {},
  ) {
    this.members = members;
    this.#afterStart = hooks.afterStart ?? (async () => {});
    this.#afterStop = hooks.afterStop ?? (async () => {});
  }

  get #first(): Member {
    const first = this.members[0];
    if (!first) throw new Error("a server group needs a member");
    return first;
  }

  get rung(): Rung {
    return this.#first.rung;
  }

  get address(): Address {
    return this.#first.address;
  }

  get canSabotage(): boolean {
    return this.#first.canSabotage;
  }

  async pause(): Promise<void> {
    await Promise.all(this.members.map((member) => member.pause()));
  }

  async resume(): Promise<void> {
    await Promise.all(this.members.map((member) => member.resume()));
  }

  async kill(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  async start(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()));
    await this.#afterStart();
  }

  async restart(options?: { wipe?: boolean }): Promise<void> {
    // All must be down before one is up: a member that still has the old data would hand it to a
    // wiped one.
    await this.kill();
    await Promise.all(this.members.map((member) => member.restart(options)));
    await this.#afterStart();
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
    await this.#afterStop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
