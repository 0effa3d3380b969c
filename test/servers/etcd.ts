import { ExternalServer } from "./external-server.ts";
import { freePort } from "./free-port.ts";
import type { Address, ManagedServer, ServerRecipe } from "./managed-server.ts";
import { addressOf } from "./redis.ts";
import { climb, type ServerKind, type ServerLog } from "./rung.ts";
import { ServerGroup } from "./server-group.ts";
import { startMemberContainers, startMemberProcesses } from "./start-members.ts";
import { ServerContainer } from "./server-container.ts";
import { ServerProcess } from "./server-process.ts";

export interface EtcdServer extends ManagedServer {
  /** `http://host:port` of every member. */
  readonly hosts: string[];
  /** The members, in the order of `hosts`; each can be paused, killed and started by itself. */
  readonly members: readonly ManagedServer[];
}

export interface EtcdOptions {
  /** How often a leader says that it lives. Default 50 ms. */
  heartbeatMs?: number;
  /**
   * How long without a leader's word until an election. Default 500 ms; etcd grants leases of at
   * least 1.5 times that, rounded up to seconds.
   */
  electionMs?: number;
  /** Default 1. */
  members?: number;
  /** Where each member keeps its data; they are then processes here. Default: anywhere. */
  dataDirs?: readonly string[];
  /** Gets the line that says which rung was taken. Default: standard error. */
  log?: ServerLog;
}

function etcdKind(): ServerKind {
  return {
    name: "etcd",
    program: "etcd",
    urlVariable: "LEASEHOLD_ETCD_HOSTS",
    image: process.env.LEASEHOLD_ETCD_IMAGE || "quay.io/coreos/etcd:v3.5.21",
    imageVariable: "LEASEHOLD_ETCD_IMAGE",
  };
}

/**
 * Starts an etcd of its own for the caller, whose data survives `kill`. On rung "urls" it is the
 * one of
 * `LEASEHOLD_ETCD_HOSTS` (separated by commas).
 */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdServer> {
  const recipes = await etcdRecipes(options);
  const [only] = recipes;
  if (!only) throw new RangeError("startEtcd: members must be at least 1");
  const alone = recipes.length === 1;
  if (options.dataDirs) return withHosts(await startMemberProcesses(recipes, "path"));
  const group = await climb<ServerGroup>(
    etcdKind(),
    {
      urls: (hosts) =>
        new ServerGroup(hosts.split(",").map((host) => new ExternalServer(hostAddress(host.trim())))),
      docker: async () =>
        alone ? new ServerGroup([await ServerContainer.start(only)]) : startMemberContainers(recipes),
      path: async (rung) =>
        alone
          ? new ServerGroup([await ServerProcess.start(only, rung)])
          : startMemberProcesses(recipes, rung),
    },
    { log: options.log },
  );
  return withHosts(group);
}

function withHosts(group: ServerGroup): EtcdServer {
  return Object.assign(group, {
    hosts: group.members.map(({ address }) => `http://${address.host}:${address.port}`),
  });
}

async function etcdRecipes(options: EtcdOptions): Promise<ServerRecipe[]> {
  const { heartbeatMs = 50, electionMs = 500, members = 1 } = options;
  const places = await Promise.all(
    Array.from({ length: members }, async (_, index) => ({
      name: `m${index}`,
      port: await freePort(),
      peerUrl: `http://127.0.0.1:${await freePort()}`,
    })),
  );
  const initialCluster = places.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
  return places.map(({ name, port, peerUrl }, index) => ({
    program: "etcd",
    image: etcdKind().image,
    port,
    args: ({ bindHost, dataDir }) => [
      ...[
        "--name",
        name,
        "--data-dir",
        options.dataDirs?.[index] ?? `${dataDir}/etcd`,
        "--initial-cluster",
        initialCluster,
      ],
      ...[
        "--listen-client-urls",
        `http://${bindHost}:${port}`,
        "--advertise-client-urls",
        `http://127.0.0.1:${port}`,
      ],
      ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
      ...["--heartbeat-interval", String(heartbeatMs), "--election-timeout", String(electionMs)],
      // What is lost is only what a crash of the machine would lose; a killed server has it in the
      // kernel's cache. Where the disk is what is tested, it is written to.
      ...(options.dataDirs ? [] : ["--unsafe-no-fsync"]),
    ],
    isReady: isHealthy,
  }));
}

/**
 * Whether an etcd answers at this address now, by a question that its members must agree on. Does
 * not throw.
 */
export async function isHealthy({ host, port }: Address): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}:${port}/health`, { signal: AbortSignal.timeout(1000) });
    const { health } = (await response.json()) as { health?: unknown };
    return health === "true";
  } catch {
    return false;
  }
}

function hostAddress(host: string): Address {
  return addressOf(host.includes("://") ? host : `http://${host}`, 2379);
}
