import { encodeName, type Backend } from "@leasehold/core";
import { startFaultProxy, type FaultProxy, type Link } from "@leasehold/testing";

/** A way to a Redis that can be sabotaged: a proxy, and what its bytes mean. */
export async function redisLink(
  target: { host: string; port: number },
  connect: (url: string) => Backend,
): Promise<{ backend: Backend; link: Link; proxy: FaultProxy }> {
  const proxy = await startFaultProxy({ target });
  const link: Link = {
    cut: () => proxy.blackhole(),
    slow: (ms) => proxy.latency(ms),
    heal: () => proxy.pass(),
    // Only the connection that carries scripts, and only the one there is now: the client gives it up and makes another.
    holdRequests: () => proxy.hold("toServer", { match: (chunk) => chunk.includes("evalsha"), limit: 1 }),
    newConnectionsPass: () => {},
    deliverHeld: async () => {
      const { delivered } = proxy.bytes.toServer;
      proxy.release("toServer");
      await proxy.until(({ bytes }) => bytes.toServer.delivered > delivered);
    },
    loseReplyTo: (_call, resource) =>
      proxy.cutAfterNextRequest({ match: (chunk) => chunk.includes(`{${encodeName(resource)}}`) }),
    // The subscriber has a connection of its own, and a push is the first thing it says that names a claim.
    dropPushes: () => proxy.hold("toClient", { match: (chunk) => chunk.includes("message") }),
  };
  return { backend: connect(proxy.url("redis")), link, proxy };
}
