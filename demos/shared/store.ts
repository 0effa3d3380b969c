import { randomBytes } from "node:crypto";
import { createCoordinator, type Backend, type Clock, type Coordinator } from "@leasehold/core";
import { memoryBackend, MemoryStore } from "@leasehold/core/memory";
import type { BackendName } from "./options.ts";
import type { StoreKind } from "./store-kind.ts";

/** Where those who take part in one run meet. */
export type StoreAddress = ServerAddress | ({ readonly kind: "memory"; readonly store: MemoryStore } & InRun);

/** One that other processes reach, too. */
export interface ServerAddress extends InRun {
  readonly kind: "redis" | "etcd";
  readonly url: string;
}

interface InRun {
  /** Unique per run: the namespace, and the prefix of every key. */
  readonly run: string;
}

/** A store that answers. Disposing removes this run's keys, and stops the server if it is ours. */
export interface OpenStore extends AsyncDisposable {
  readonly address: StoreAddress;
  /** For the first line: `the Redis at localhost:6379`. */
  readonly where: string;
}

/**
 * Opens a store for one run of a demo: memory, the server at `url`, or one that is started here.
 * Throws an error that names the address when nothing answers there.
 */
export async function openStore(backend: BackendName, demo: string, url?: string): Promise<OpenStore> {
  // Two runs on one server do not meet, and what a run leaves can be found.
  const run = `leasehold-${demo}-${randomBytes(4).toString("hex")}`;
  switch (backend) {
    case "memory":
      return {
        address: { kind: backend, store: new MemoryStore(), run },
        where: "this process",
        [Symbol.asyncDispose]: async () => {},
      };
    case "redis":
      return openServer({ kind: backend, run, url }, (await import("./redis-store.ts")).redis);
    case "etcd":
      return openServer({ kind: backend, run, url }, (await import("./etcd-store.ts")).etcd);
  }
}

async function openServer(
  { kind, run, url: given }: Omit<ServerAddress, "url"> & { readonly url: string | undefined },
  { title, start, connect }: StoreKind,
): Promise<OpenStore> {
  const server = given === undefined ? await start() : undefined;
  const url = given ?? server?.url ?? "";
  const hosts = url
    .split(",")
    .map((each) => new URL(each).host)
    .join(", ");
  const client = connect(url);
  const dispose = async (): Promise<void> => {
    try {
      await client.removeKeys(run);
    } finally {
      client.close();
      await server?.stop();
    }
  };
  try {
    await client.ping();
  } catch (error) {
    await dispose().catch(() => undefined);
    throw new Error(
      `no ${title} answers at ${hosts}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const where = `the ${title} ${server === undefined ? "at" : "started at"} ${hosts}`;
  return { address: { kind, url, run }, where, [Symbol.asyncDispose]: dispose };
}

/** A coordinator of its own for whoever takes part. */
export async function coordinatorAt(
  address: StoreAddress,
  options: { readonly ttlMs?: number; readonly clock?: Clock } = {},
): Promise<Coordinator> {
  const { ttlMs, clock } = options;
  const backend = await backendAt(address, clock);
  return createCoordinator({ backend, namespace: address.run, ...(ttlMs === undefined ? {} : { ttlMs }) });
}

async function backendAt(address: StoreAddress, clock?: Clock): Promise<Backend> {
  switch (address.kind) {
    case "memory":
      return memoryBackend({ store: address.store, ...(clock === undefined ? {} : { clock }) });
    case "redis":
      return (await import("@leasehold/redis")).redisBackend(address.url, { prefix: address.run });
    case "etcd":
      return (await import("@leasehold/etcd")).etcdBackend(
        { hosts: address.url.split(",") },
        { prefix: address.run },
      );
  }
}
