import { encodeName } from "@leasehold/core";
import { startFaultProxy, type FaultProxy, type Link } from "@leasehold/testing";

interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * The way to a Redis, or to each node of a cluster, that can be sabotaged: proxies, and what their
 * bytes mean.
 */
export interface RedisLink extends AsyncDisposable {
  readonly link: Link;
  readonly proxies: readonly FaultProxy[];
}

export async function redisLink(targets: readonly Address[]): Promise<RedisLink> {
  const proxies = await Promise.all(targets.map((target) => startFaultProxy({ target })));
  const each = (act: (proxy: FaultProxy) => void): void => proxies.forEach(act);
  const link: Link = {
    cut: () => each((proxy) => proxy.blackhole()),
    slow: (ms) => each((proxy) => proxy.latency(ms)),
    heal: () => each((proxy) => proxy.pass()),
    // Only the connection that carries scripts, and only the one there is now: the client gives it
    // up and makes another.
    holdRequests: () =>
      each((proxy) => proxy.hold("toServer", { match: (chunk) => chunk.includes("evalsha"), limit: 1 })),
    newConnectionsPass: () => {},
    deliverHeld: async () => {
      const held = proxies.filter(({ bytes }) => bytes.toServer.held > 0);
      const before = held.map(({ bytes }) => bytes.toServer.delivered);
      each((proxy) => proxy.release("toServer"));
      await Promise.all(
        held.map((proxy, i) => proxy.until(({ bytes }) => bytes.toServer.delivered > (before[i] ?? 0))),
      );
    },
    // The keys of a resource live on one node: its proxy sees the request, and the others wait for
    // nothing.
    loseReplyTo: (_call, resource) =>
      Promise.any(
        proxies.map((proxy) =>
          proxy.cutAfterNextRequest({ match: (chunk) => chunk.includes(`{${encodeName(resource)}}`) }),
        ),
      ),
    // The subscriber has a connection of its own, and a push is the first thing it says that names
    // a claim.
    dropPushes: () =>
      each((proxy) => proxy.hold("toClient", { match: (chunk) => chunk.includes("message") })),
  };
  const close = async (): Promise<void> => {
    await Promise.all(proxies.map((proxy) => proxy.close()));
  };
  return { link, proxies, [Symbol.asyncDispose]: close };
}
