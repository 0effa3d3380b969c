import { createCoordinator } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { startEtcd } from "../../test/servers/index.ts";
import { balanceKey, etcdAccount, etcdClient } from "./etcd-place.ts";
import { newRun, type Place } from "./place.ts";
import { processCrew } from "./process-crew.ts";
import type { StageBuilder } from "./stage.ts";

/** Six processes on an etcd: the given one, or one that is started and stopped here. */
export const etcdStage: StageBuilder = async (job, initial, url) => {
  const server = url === undefined ? await startEtcd() : undefined;
  const place: Place = { kind: "etcd", url: url ?? server?.hosts.join(",") ?? "", run: newRun() };
  const hosts = place.url.split(",");
  const client = etcdClient(place.url);
  const where = hosts.map((host) => new URL(host).host).join(", ");
  const crew = processCrew(place, job);
  const coordinator = createCoordinator({
    backend: etcdBackend({ hosts }, { prefix: place.run }),
    namespace: place.run,
    ttlMs: job.ttlMs,
  });
  const strike = async (): Promise<void> => {
    await crew.stop();
    await coordinator.close();
    try {
      await client.delete().prefix(`${place.run}/`);
    } finally {
      client.close();
      await server?.stop();
    }
  };
  try {
    await client.put(balanceKey(place.run)).value(initial);
  } catch (error) {
    await strike().catch(() => undefined);
    throw new Error(`no etcd answers at ${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const setting = `six processes on the etcd ${server === undefined ? "at" : "started at"} ${where}`;
  return { crew, account: etcdAccount(client, place.run), coordinator, setting, strike };
};
