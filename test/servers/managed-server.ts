/**
 * How a server was come by: addresses from the environment, a container, a program found on PATH,
 * or one that was just installed with apt.
 */
export type Rung = "urls" | "docker" | "path" | "apt";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A server for tests, which can be made to fail. It keeps its address through all of it. */
export interface ManagedServer extends AsyncDisposable {
  readonly rung: Rung;
  /** Of a group: its first member's. */
  readonly address: Address;
  /** False on rung "urls": then all but `stop` throws, for that server is not ours to break. */
  readonly canSabotage: boolean;
  /** Freezes it (SIGSTOP or the like): connections stay open, nobody answers. */
  pause(): Promise<void>;
  /** Ends `pause`; does nothing to a server that runs. */
  resume(): Promise<void>;
  /** SIGKILL; returns when it is dead. */
  kill(): Promise<void>;
  /**
   * Starts it again after `kill`, with the data that its persistence kept; returns when it is
   * ready.
   */
  start(): Promise<void>;
  /** `kill` and `start`; with `wipe` it comes back empty. */
  restart(options?: { wipe?: boolean }): Promise<void>;
  /** Ends it for good and removes its data. */
  stop(): Promise<void>;
}

/** How one kind of server is started, whatever the rung. */
export interface ServerRecipe {
  /** Also the program's name: "redis-server". */
  readonly program: string;
  readonly image: string;
  readonly port: number;
  /**
   * Its arguments. It shall listen on `bindHost` at the recipe's port, and keep its files in
   * `dataDir`.
   */
  readonly args: (place: { bindHost: string; dataDir: string }) => string[];
  /** Whether it answers at this address now. Does not throw. */
  readonly isReady: (address: Address) => Promise<boolean>;
}
