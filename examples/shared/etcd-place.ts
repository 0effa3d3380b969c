import type { Etcd3 } from "etcd3";
import { startEtcd } from "../../test/servers/index.ts";
import { etcdClient } from "./etcd-client.ts";
import { newRun, type OpenPlace } from "./place.ts";

/**
 * The given etcd, or one that is started here; disposing removes the keys of this run, and stops the server if it is ours.
 * Throws an error that names the address when none answers there.
 */
export async function openEtcd(show: string, url?: string): Promise<OpenPlace & { readonly client: Etcd3 }> {
  const server = url === undefined ? await startEtcd() : undefined;
  const place = { kind: "etcd", url: url ?? server?.hosts.join(",") ?? "", run: newRun(show) } as const;
  const client = etcdClient(place.url);
  const address = place.url
    .split(",")
    .map((host) => new URL(host).host)
    .join(", ");
  const dispose = async (): Promise<void> => {
    try {
      await client.delete().prefix(`${place.run}/`);
    } finally {
      client.close();
      await server?.stop();
    }
  };
  try {
    await client.get("any").exists();
  } catch (error) {
    await dispose().catch(() => undefined);
    throw new Error(
      `no etcd answers at ${address}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const where = `the etcd ${server === undefined ? "at" : "started at"} ${address}`;
  return { place, client, where, [Symbol.asyncDispose]: dispose };
}
