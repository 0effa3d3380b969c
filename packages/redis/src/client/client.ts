/**
 * What this package needs of an ioredis client, by structure: so that clients of ioredis 5 and 6, and of two copies of it in
 * one process, are all accepted.
 */
export interface ScriptClient {
  readonly status: string;
  evalsha(sha: string, keyCount: number, ...keysAndArgs: string[]): Promise<unknown>;
  eval(text: string, keyCount: number, ...keysAndArgs: string[]): Promise<unknown>;
  connect(): Promise<void>;
  disconnect(): void;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** A client of one server, or of the master that Sentinel names. */
export interface RedisClient extends ScriptClient {
  duplicate(options?: object): SubscriberClient;
}

export interface SubscriberClient extends ScriptClient {
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
}

/** A client of a Redis Cluster. */
export interface ClusterClient extends ScriptClient {
  readonly isCluster: boolean;
  nodes(role?: "all" | "master"): RedisClient[];
}

export function isCluster(client: RedisClient | ClusterClient): client is ClusterClient {
  return "isCluster" in client && client.isCluster;
}

/** Whether `source` is a client, rather than a URL or options to make one. */
export function isClient(source: unknown): source is RedisClient | ClusterClient {
  return typeof source === "object" && source !== null && "evalsha" in source && "status" in source;
}

/** What we ask of a client's socket. */
export interface Socket {
  readonly destroyed: boolean;
  readonly connecting: boolean;
  readonly writable: boolean;
  readonly writableEnded: boolean;
  unref(): unknown;
  cork(): void;
  uncork(): void;
  resetAndDestroy(): unknown;
  destroy(): unknown;
}

/** The client's socket, if it has one that is open. */
export function socketOf(client: ScriptClient): Socket | undefined {
  const socket = (client as { stream?: Partial<Socket> | null }).stream;
  return typeof socket?.destroy === "function" && socket.destroyed !== true ? (socket as Socket) : undefined;
}

/** Whether a request would be written now. ioredis learns only after a while that its socket is gone. */
export function isReady(client: RedisClient | ClusterClient): boolean {
  return (
    client.status === "ready" && (client as { stream?: Partial<Socket> | null }).stream?.writable !== false
  );
}

/**
 * Ends the connection with a reset, so that nothing of it is delivered any more. With FIN the kernel goes on to send what is
 * in its queue, and a request that its caller has given up can be executed after the request that cleans up behind it (seen:
 * a lock held by nobody for a whole ttl). Node resets plain TCP only; over TLS the mark of rule R7 alone has to serve.
 */
export function resetSocket(client: ScriptClient): void {
  const socket = socketOf(client);
  if (socket === undefined) return;
  // A socket that is closing already cannot be reset: Node would then never close it.
  if (socket.connecting || socket.writableEnded) return void socket.destroy();
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy();
  }
}

/** ioredis waits between two attempts on a timer that keeps the process alive. A pending call does that already. */
export function unrefReconnect(client: ScriptClient): void {
  const timer = (client as { reconnectTimeout?: { unref?(): unknown } | null }).reconnectTimeout;
  timer?.unref?.();
}
