import type { Backend } from "@leasehold/core";

export type StoreCall =
  "acquire" | "renew" | "release" | "propose" | "evict" | "inspect" | "look" | "begin" | "extend" | "finish";

/** The way between one process and the store, to be sabotaged. */
export interface Link {
  /**
   * Black hole: connections stay open, everything sent on them, both ways, is lost; new ones are
   * silent.
   */
  cut(): void;
  /** Everything works again; what was held back is delivered first. */
  heal(): void | Promise<void>;
  /**
   * Holds every request back from now on: the client gives up on it, and the store gets it later.
   */
  holdRequests(): void;
  /** Requests on connections made from now on pass; those held stay held. */
  newConnectionsPass(): void;
  /**
   * Delivers what was held back, although its senders have long given up. Resolves when the store
   * has had it.
   */
  deliverHeld(): Promise<void>;
  /**
   * The next such call about `resource` (or the record of that name) reaches the store, its reply
   * is lost, and the connection with it.
   */
  loseReplyTo(call: StoreCall, resource: string): Promise<void>;
  /** Everything takes so much longer, each way; 0 ends it. */
  slow(ms: number): void;
  /**
   * Pushes of grants are lost; requests and replies pass. Absent where pushes share the connection
   * of replies.
   */
  dropPushes?(): void;
}

/** The store itself, to be sabotaged. Cases that use it run alone. */
export interface StoreControl {
  /** The store answers nothing, and keeps its connections. */
  pause?(): Promise<void>;
  resume?(): Promise<void>;
  /** Killed at once. */
  kill?(): Promise<void>;
  /** Started again, with its data or without. */
  start?(options: { wipe: boolean }): Promise<void>;
  /** Forgets everything, and goes on serving. */
  flush?(): Promise<void>;
  /** Removes a claim by hand, behind the backend's back. */
  deleteClaim?(resource: string, owner: string): Promise<void>;
  /**
   * What the store still keeps of these resources, other than tickets and marks that expire by
   * themselves.
   */
  leftovers?(resources: readonly string[]): Promise<readonly string[]>;
}

/** What an author of a backend writes to run the kit on it. */
export interface Harness {
  /** The shortest ttl to be used in cases, in milliseconds: a multiple of the store's step. */
  readonly ttlMs: number;
  /** Whether cases may run at once. False where time is simulated. */
  readonly concurrent: boolean;
  /** A new backend, as of another process, on the one store. The kit disposes it. */
  readonly open: () => Promise<Backend>;
  /** The same behind a link of its own. */
  readonly openThroughLink?: () => Promise<{ backend: Backend; link: Link }>;
  /** Lets so much time pass, for the store and for this process. */
  readonly elapse: (ms: number) => Promise<void>;
  /**
   * So much time passes while this process can do nothing: its event loop is blocked. Default: a
   * busy loop.
   */
  readonly block?: (ms: number) => void;
  readonly store?: StoreControl;
  /**
   * For how long the machine gave this process or the store no turn, in milliseconds and in all,
   * since that moment of `process.hrtime.bigint()`. A case that fails in a run that stalled for
   * more than a tenth of the ttl proves nothing. It says so, and is run again, three times at most.
   * Default: there are no stalls, and every failure counts.
   */
  readonly stalledMs?: (sinceNs: bigint) => number;
  /**
   * Case names that this store cannot meet, each with the reason. They are skipped, counted, and
   * named.
   */
  readonly exempt?: Readonly<Record<string, string>>;
}
