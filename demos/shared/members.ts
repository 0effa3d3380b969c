import type { Member, Program } from "./member.ts";
import { processMember } from "./process-member.ts";
import type { Run } from "./run.ts";
import { simulatedMember } from "./simulated-member.ts";

export interface MembersOptions<Config> {
  readonly names: readonly string[];
  readonly config: Config;
}

/** All who take part in a run, by name. One that fails fails the run. Its end kills the rest. */
export class Members<Config, Heard, Told> {
  readonly #members: ReadonlyMap<string, Member<Heard>>;
  /** Resolves when all have ended, but for those who were killed. */
  readonly ended: Promise<unknown>;
  /** How they are killed, frozen and thawed, in the words of the timeline. */
  readonly words: { readonly kill: string; readonly freeze: string; readonly thaw: string };

  constructor(
    run: Run,
    program: Program<Config, Heard, Told>,
    { names, config }: MembersOptions<Config>,
    hear: (name: string, message: Told) => void,
  ) {
    const { ttlMs } = run;
    const { address } = run.store;
    const isSimulated = address.kind === "memory";
    const start = isSimulated ? simulatedMember : processMember;
    this.words = isSimulated
      ? {
          kill: "KILLED (simulated: its code and its timers stop for good)",
          freeze: "FROZEN (simulated: its code and its timers stop)",
          thaw: "thawed",
        }
      : { kill: "KILLED (SIGKILL)", freeze: "FROZEN (SIGSTOP)", thaw: "thawed (SIGCONT)" };
    this.#members = new Map(
      names.map((name) => {
        const spec = { name, config, address, ttlMs };
        return [name, start(program, spec, (message: Told) => hear(name, message))];
      }),
    );
    this.ended = Promise.all([...this.#members.values()].map(({ ended }) => ended));
    this.ended.catch(run.fail);
    run.defer(() => Promise.all([...this.#members.values()].map((member) => member.kill())));
  }

  send(name: string, message: Heard): void {
    this.#find(name).send(message);
  }

  sendAll(message: Heard): void {
    for (const member of this.#members.values()) member.send(message);
  }

  kill(name: string): void {
    void this.#find(name).kill();
  }

  freeze(name: string): void {
    this.#find(name).freeze();
  }

  thaw(name: string): void {
    this.#find(name).thaw();
  }

  #find(name: string): Member<Heard> {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`there is no ${name}`);
    return member;
  }
}
