import { Redis } from "ioredis";

import type { StoreSpec } from "./store-spec.ts";

/** What a store still has of clients that are gone. Each list must be empty. */
export interface Residue {
  /** Keys without an end: Redis keys without a ttl; etcd keys, all of which hang on leases. */
  readonly immortal: readonly string[];
  /** Redis channels that somebody is still subscribed to. */
  readonly channels: readonly string[];
  /** etcd leases. */
  readonly leases: readonly string[];
}

/** Looks at a whole server, so give it one of its own. */
export async function residueOf(store: StoreSpec): Promise<Residue> {
  switch (store.kind) {
    case "memory":
      return { immortal: [], channels: [], leases: [] };
    case "redis":
      return redisResidue(store.url);
    case "etcd":
      return etcdResidue(store.hosts[0] ?? "");
    case "redis cluster":
      throw new Error("residueOf looks at one server");
  }
}

async function redisResidue(url: string): Promise<Residue> {
  const redis = new Redis(url);
  try {
    const keys = await redis.keys("*");
    const ttls = await Promise.all(keys.map((key) => redis.pttl(key)));
    const channels = (await redis.pubsub("CHANNELS")) as string[];
    // -1: no ttl; -2: it expired since.
    return { immortal: keys.filter((_, index) => ttls[index] === -1), channels, leases: [] };
  } finally {
    redis.disconnect();
  }
}

async function etcdResidue(host: string): Promise<Residue> {
  const call = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const response = await fetch(`${host}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  };
  const everything = {
    key: Buffer.from("\0").toString("base64"),
    range_end: Buffer.from("\0").toString("base64"),
  };
  const [{ kvs = [] }, { leases = [] }] = await Promise.all([
    call("kv/range", { ...everything, keys_only: true }),
    call("lease/leases", {}),
  ]);
  return {
    immortal: (kvs as { key: string }[]).map(({ key }) => Buffer.from(key, "base64").toString("latin1")),
    channels: [],
    leases: (leases as { ID: string }[]).map(({ ID }) => ID),
  };
}
