import { isCluster, type ClusterClient, type RedisClient } from "./client.ts";

type Options = Readonly<Record<string, unknown>>;

/** What the warning says of each option that is missing. docs/redis-clients.md says why. */
const advice = {
  socketTimeout: "socketTimeout: 2000 (a server that hangs is left)",
  reconnectOnError: 'reconnectOnError: (e) => e.message.startsWith("READONLY") (a demoted primary is left)',
  sentinelCommandTimeout: "sentinelCommandTimeout: 1000 (a Sentinel that hangs is passed over)",
  retryStrategy: "retryStrategy, a function (a lost connection is made anew)",
  clusterRetryStrategy: "clusterRetryStrategy, a function (a lost Cluster is looked for again)",
};

/**
 * Which options a client of the application's lacks. We neither reset nor configure it, so without
 * them it stays for ever with a server that is of no use any more. A client that does not tell its
 * options lacks none.
 */
export function missingOptions(client: RedisClient | ClusterClient): (keyof typeof advice)[] {
  const options = optionsOf(client);
  if (options === undefined) return [];
  const missing: (keyof typeof advice)[] = [];
  const isFunction = (name: string): boolean => typeof options[name] === "function";
  if (isCluster(client)) {
    const { redisOptions } = options;
    const socketTimeout = isOptions(redisOptions) ? redisOptions["socketTimeout"] : undefined;
    if (typeof socketTimeout !== "number") missing.push("socketTimeout");
    if (!isFunction("clusterRetryStrategy")) missing.push("clusterRetryStrategy");
    return missing;
  }
  if (typeof options["socketTimeout"] !== "number") missing.push("socketTimeout");
  if (!isFunction("reconnectOnError")) missing.push("reconnectOnError");
  if (!isFunction("retryStrategy")) missing.push("retryStrategy");
  if (Array.isArray(options["sentinels"]) && typeof options["sentinelCommandTimeout"] !== "number")
    missing.push("sentinelCommandTimeout");
  return missing;
}

const told = new Set<string>();

/** Warns of what is missing, once in a process for the same options. */
export function warnOfMissingOptions(client: RedisClient | ClusterClient): void {
  const missing = missingOptions(client);
  const kind = isCluster(client) ? "Cluster" : "Redis";
  const text = `${kind} ${missing.join()}`;
  if (missing.length === 0 || told.has(text)) return;
  told.add(text);
  process.emitWarning(
    `The ioredis ${kind} that redisBackend() was given can get stuck, and is not ours to reset. ` +
      `Set ${missing.map((name) => advice[name]).join("; ")}` +
      `${isCluster(client) ? " (socketTimeout in redisOptions)" : ""}. See docs/redis-clients.md.`,
    { type: "LeaseholdWarning", code: "LEASEHOLD_REDIS_CLIENT" },
  );
}

function optionsOf(client: RedisClient | ClusterClient): Options | undefined {
  const { options } = client as { options?: unknown };
  return isOptions(options) ? options : undefined;
}

function isOptions(value: unknown): value is Options {
  return typeof value === "object" && value !== null;
}
