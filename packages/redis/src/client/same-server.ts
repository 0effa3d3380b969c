import { isClient, isCluster, type ClusterClient, type RedisClient } from "./client.ts";

type Address = { readonly host?: unknown; readonly port?: unknown; readonly path?: unknown };

/**
 * Whether `dependency` is this client, or a client, URL or options of the same server. By the addresses that were given: two
 * names of one server are not seen through.
 */
export function isSameServer(client: RedisClient | ClusterClient, dependency: unknown): boolean {
  if (dependency === client) return true;
  const ours = addressesOf(client);
  return addressesOf(dependency).some((address) => ours.includes(address));
}

function addressesOf(source: unknown): string[] {
  if (typeof source === "string") {
    const url = URL.parse(source.includes("://") ? source : `redis://${source}`);
    return url === null ? [] : [address({ host: url.hostname, port: url.port })];
  }
  if (isClient(source)) {
    // A Cluster's nodes are known once it has connected.
    if (isCluster(source)) return source.nodes().flatMap(addressesOf);
    return addressesOf((source as { options?: unknown }).options);
  }
  return typeof source === "object" && source !== null && ("host" in source || "port" in source)
    ? [address(source)]
    : [];
}

/** ioredis's defaults, where an address leaves something out. */
function address({ host, port, path }: Address): string {
  if (typeof path === "string") return path;
  const name = typeof host === "string" && host !== "" ? host.toLowerCase() : "localhost";
  const given = typeof port === "number" || typeof port === "string" ? port : "";
  return `${name === "127.0.0.1" || name === "::1" ? "localhost" : name}:${given || 6379}`;
}
