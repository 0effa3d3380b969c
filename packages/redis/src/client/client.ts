import type { Script } from "../scripts/script.ts";

/**
 * What this package needs of an ioredis client. It is described by structure, so that clients of
 * ioredis 5 and 6, and of two copies of it in one process, are all accepted.
 */
export interface ScriptClient {
  readonly status: string;
  evalsha(sha: string, keyCount: number, ...keysAndArgs: string[]): Promise<unknown>;
  eval(text: string, keyCount: number, ...keysAndArgs: string[]): Promise<unknown>;
  connect(): Promise<void>;
  /** With `reconnect`, as after a lost connection. */
  disconnect(reconnect?: boolean): void;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** An ioredis `Redis`: a client of one server, or of the master that Sentinel names. */
export interface RedisClient extends ScriptClient {
  /**
   * A second client of the same server. This package makes one to subscribe on, and one to wait on.
   */
  duplicate(options?: object): RedisClient & SubscriberClient;
  info(section: string): Promise<unknown>;
  wait(replicas: number, timeoutMs: number): Promise<unknown>;
}

/** What this package needs of the client that it subscribes on. */
export interface SubscriberClient extends ScriptClient {
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  /** Answered also while subscribed. */
  ping(): Promise<unknown>;
}

/** An ioredis `Cluster`: a client of a Redis Cluster. */
export interface ClusterClient extends ScriptClient {
  readonly isCluster: boolean;
  nodes(role?: "all" | "master"): RedisClient[];
  /** Asks the nodes which of them serves which slots. */
  refreshSlotsCache?(callback?: (error?: Error | null) => void): void;
}

export function isCluster(client: RedisClient | ClusterClient): client is ClusterClient {
  return "isCluster" in client && client.isCluster;
}

/** Whether `source` is a client, rather than a URL or options to make one. */
export function isClient(source: unknown): source is RedisClient | ClusterClient {
  return typeof source === "object" && source !== null && "evalsha" in source && "status" in source;
}

/**
 * The one door through which scripts reach the server. A server that does not know the script
 * (restarted, flushed, failed over) has executed nothing, so the script is sent again as text, if
 * its caller still waits: after a long outage it could be a request of long ago.
 */
export function runScript(
  client: ScriptClient,
  script: Script,
  keys: readonly string[],
  args: readonly string[],
  isWanted: () => boolean = () => true,
): Promise<unknown> {
  return client.evalsha(script.sha, keys.length, ...keys, ...args).catch((error: unknown) => {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT") && isWanted())) throw error;
    return client.eval(script.text, keys.length, ...keys, ...args);
  });
}
