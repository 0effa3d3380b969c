import { createCoordinator } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { openEtcd } from "../shared/etcd-place.ts";
import { balanceKey, etcdAccount } from "./etcd-place.ts";
import { processCrew } from "./process-crew.ts";
import type { StageBuilder } from "./stage.ts";

/** Six processes on an etcd: the given one, or one that is started and stopped here. */
export const etcdStage: StageBuilder = async (job, initial, url) => {
  const opened = await openEtcd("demo", url);
  const { place, client, where } = opened;
  try {
    await client.put(balanceKey(place.run)).value(initial);
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
  const crew = processCrew(place, job);
  const coordinator = createCoordinator({
    backend: etcdBackend({ hosts: place.url.split(",") }, { prefix: place.run }),
    namespace: place.run,
    ttlMs: job.ttlMs,
  });
  return {
    crew,
    account: etcdAccount(client, place.run),
    coordinator,
    setting: `six processes on ${where}`,
    strike: async () => {
      await crew.stop();
      await coordinator.close();
      await opened[Symbol.asyncDispose]();
    },
  };
};
