import { etcdBackend } from "@leasehold/etcd";
import { Etcd3, type Watcher } from "etcd3";
import type { Course, Worker } from "./measure.ts";
import { ourLock, workerCount } from "./our-lock.ts";

/**
 * The floor: a raw Txn that puts a key on a lease, a delete of it, and a token that goes around by
 * puts and watches.
 */
export async function etcdCourse(hosts: string, run: string): Promise<Course> {
  const client = new Etcd3({ hosts: hosts.split(",") });
  const { ID: lease } = await client.leaseClient.leaseGrant({ TTL: "60" });
  const ring = (index: number): string => `${run}/ring/${index % workerCount}`;
  const put = (key: string): Promise<unknown> =>
    client.kv.put({ key: Buffer.from(key), value: Buffer.from("token"), lease });
  const watchers: Watcher[] = [];
  const workers: Worker[] = [];
  for (let index = 0; index < workerCount; index += 1) {
    const watcher = await client.watch().key(ring(index)).create();
    watchers.push(watcher);
    workers.push(ringWorker(watcher, () => put(ring(index + 1))));
  }
  const lock = ourLock(() => etcdBackend({ hosts: hosts.split(",") }, { prefix: run }), run);
  await put(ring(0));
  return {
    floor: {
      name: "Txn put + delete, put and watch ring",
      pair: async (name) => {
        const key = Buffer.from(`${run}/${name}`);
        await client.kv.txn({
          compare: [{ key, target: "Create", result: "Equal", create_revision: "0" }],
          success: [{ request_put: { key, value: Buffer.from("owner"), lease } }],
        });
        await client.kv.deleteRange({ key });
      },
      workers,
    },
    ours: lock,
    close: async () => {
      await lock.close();
      await Promise.all(watchers.map((watcher) => watcher.cancel()));
      await client.delete().prefix(run);
      await client.leaseClient.leaseRevoke({ ID: lease });
      client.close();
    },
  };
}

/** Puts that came before anybody asked are kept. */
function ringWorker(watcher: Watcher, give: () => Promise<unknown>): Worker {
  let arrived = 0;
  let wake = (): void => {};
  watcher.on("put", () => {
    arrived += 1;
    wake();
  });
  return {
    take: async () => {
      while (arrived === 0) await new Promise<void>((resolve) => (wake = resolve));
      arrived -= 1;
      return give;
    },
  };
}
