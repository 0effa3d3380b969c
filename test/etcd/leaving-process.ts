import { once } from "node:events";

import { createCoordinator } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";

// A process of its own, since the promise is about its end: nothing but a pending wait keeps it
// alive.
const [, , host = "", scenario = ""] = process.argv;
const backend = etcdBackend({ hosts: host });
const coordinator = createCoordinator({ backend, ttlMs: 20_000 });
// A name of its own: what an earlier process could not release stays for a ttl.
const name = `leaving-${process.pid}`;
const lease = await coordinator.lock(name).acquire();
if (scenario === "waiting") {
  const queued = Promise.withResolvers<void>();
  const second = createCoordinator({
    backend,
    ttlMs: 20_000,
    onEvent: ({ type }) => {
      if (type === "queued") queued.resolve();
    },
  });
  second
    .lock(name)
    .acquire()
    .catch(() => {});
  await queued.promise;
  process.once("message", () => void second.close());
}
if (scenario === "released") await lease.release();
process.send?.("ready");
await once(process, "message");
process.disconnect();
if (scenario === "disposing") await backend[Symbol.asyncDispose]();
else if (scenario !== "released") await coordinator.close();
