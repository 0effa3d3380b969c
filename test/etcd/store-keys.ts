import { encodeName } from "@leasehold/core";
import type { Etcd3, IKeyValue } from "etcd3";

/** The claims on a lock's name, as etcd has them: what nobody's local state can hide. */
export async function claimsOf(
  etcd: Etcd3,
  name: string,
  namespace: string = "default",
): Promise<IKeyValue[]> {
  return keysUnder(etcd, `leasehold/${encodeName(`${namespace}:lock:${name}`)}/`);
}

export async function keysUnder(etcd: Etcd3, prefix: string): Promise<IKeyValue[]> {
  const key = Buffer.from(prefix);
  const range_end = Buffer.from(
    `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`,
  );
  const { kvs } = await etcd.kv.range({ key, range_end });
  return kvs;
}

/** The ids of all leases that the server has. */
export async function leasesOf(etcd: Etcd3): Promise<string[]> {
  const { leases } = await etcd.leaseClient.leaseLeases();
  return leases.map(({ ID }) => ID);
}
