import { isCluster, type ClusterClient, type RedisClient, type ScriptClient } from "./client.ts";

/** How many nodes of a Cluster, or Sentinels, a message names. */
const MOST_NAMED = 3;

interface Address {
  readonly host?: string | null;
  readonly port?: number | string | null;
}

interface AddressOptions extends Address {
  readonly path?: string | null;
  readonly name?: string | null;
  readonly sentinels?: readonly Address[] | null;
}

/**
 * Where a client leads, for messages: host and port, and never a user name or a password. A client
 * that Sentinel leads is named by its Sentinels: what they name as the master changes.
 */
export function serverAddress(client: RedisClient | ClusterClient): string {
  if (isCluster(client)) return clusterAddress(client);
  const options = optionsOf(client);
  const { sentinels, name, path } = options;
  if (sentinels && sentinels.length > 0)
    return `master "${name ?? ""}" of the Sentinels ${listed(sentinels.map(hostAndPort))}`;
  return path ?? hostAndPort(options);
}

/** Whether the client speaks TLS, as far as its options tell. */
export function speaksTls(client: ScriptClient): boolean {
  const { tls } = optionsOf(client) as { readonly tls?: unknown };
  return tls !== undefined && tls !== null && tls !== false;
}

/** A Cluster that is not connected knows no node but those that it was given to begin with. */
function clusterAddress(client: ClusterClient): string {
  const nodes = client.nodes().map((node) => hostAndPort(optionsOf(node)));
  const given = (client as { startupNodes?: readonly unknown[] }).startupNodes ?? [];
  return `the Cluster of ${listed(nodes.length > 0 ? nodes : given.map(startupAddress))}`;
}

/** A startup node is an address, a port, or a URL, which can hold a password. */
function startupAddress(node: unknown): string {
  if (typeof node === "number") return hostAndPort({ port: node });
  if (typeof node === "object" && node !== null) return hostAndPort(node);
  const text = String(node);
  if (/^\d+$/.test(text)) return hostAndPort({ port: text });
  const url = URL.parse(text.includes("//") ? text : `redis://${text}`);
  return url === null ? "unknown host" : hostAndPort({ host: url.hostname, port: url.port });
}

function optionsOf(client: ScriptClient): AddressOptions {
  return (client as { options?: AddressOptions }).options ?? {};
}

function hostAndPort({ host, port }: Address): string {
  const name = host || "localhost";
  return `${name.includes(":") && !name.startsWith("[") ? `[${name}]` : name}:${port || 6379}`;
}

function listed(addresses: readonly string[]): string {
  const named = addresses.slice(0, MOST_NAMED).join(", ");
  return addresses.length > MOST_NAMED ? `${named} and others` : named;
}
