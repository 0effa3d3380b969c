import type { Clock, Coordinator } from "@leasehold/core";
import type { StoreAddress } from "./store.ts";

/**
 * A program that several members of a demo run: each as a process of its own, or, on memory,
 * simulated within this one. The default export of its file.
 */
export interface Program<Config, Heard, Told> {
  /** Its file: `import.meta.filename`. */
  readonly file: string;
  readonly main: (context: MemberContext<Config, Heard, Told>) => Promise<void>;
}

/** What a member is started with. */
export interface MemberSpec<Config> {
  readonly name: string;
  readonly config: Config;
  readonly address: StoreAddress;
  readonly ttlMs: number;
}

/** What the program gets. Its coordinator is closed when `main` has ended. */
export interface MemberContext<Config, Heard, Told> extends MemberSpec<Config> {
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly tell: (message: Told) => void;
  /** Calls `hear` with each message, also with those that came before. */
  readonly listen: (hear: (message: Heard) => void) => void;
  /** Aborts when a simulated process is killed: close what the kernel would close of a real one. */
  readonly killed: AbortSignal;
}

/** The demo's hold on a member. */
export interface Member<Heard> {
  /** Resolves when `main` has ended, or the member was killed; rejects when it ends otherwise. */
  readonly ended: Promise<void>;
  send(message: Heard): void;
  /** Ends it at once, also while it is frozen. */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
}
