import type { ScriptClient } from "./client.ts";

/**
 * What this package does with a client's socket. ioredis keeps it in a field that is not public.
 */
export interface Socket {
  readonly destroyed: boolean;
  readonly connecting: boolean;
  readonly writable: boolean;
  readonly writableEnded: boolean;
  readonly bytesRead: number;
  unref(): unknown;
  cork(): void;
  uncork(): void;
  resetAndDestroy(): unknown;
  destroy(): unknown;
}

function streamOf(client: ScriptClient): Partial<Socket> | null | undefined {
  return (client as { stream?: Partial<Socket> | null }).stream;
}

/** The client's socket, if it has one that is open. */
export function socketOf(client: ScriptClient): Socket | undefined {
  const socket = streamOf(client);
  return typeof socket?.destroy === "function" && socket.destroyed !== true ? (socket as Socket) : undefined;
}

/** How much was received on this connection; undefined for a Cluster, which has several. */
export function bytesReceived(client: ScriptClient): number | undefined {
  return streamOf(client)?.bytesRead;
}

/**
 * Whether a request would be written now. ioredis learns only after a while that its socket is
 * gone.
 */
export function isReady(client: ScriptClient): boolean {
  return client.status === "ready" && streamOf(client)?.writable !== false;
}

/**
 * Ends the connection with a reset, so that nothing of it is delivered any more. After a FIN the
 * kernel goes on to send what is in its queue: a request that its caller has given up could be
 * executed after the request that cleans up behind it (seen: a lock held by nobody for a whole
 * ttl). Node resets plain TCP only; over TLS the mark of rule R7 alone has to serve.
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

/**
 * Lets the process end while ioredis waits to connect again: its timer would keep the process
 * alive. A pending call does that already, by its deadline.
 */
export function unrefReconnect(client: ScriptClient): void {
  const timer = (client as { reconnectTimeout?: { unref?(): unknown } | null }).reconnectTimeout;
  timer?.unref?.();
}
