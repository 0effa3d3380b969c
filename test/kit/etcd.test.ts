import { setTimeout as wait } from "node:timers/promises";

import { encodeName } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { endsHttp2Response, startFaultProxy, testBackend, type Link } from "@leasehold/testing";
import { Etcd3 } from "etcd3";
import { afterAll, describe, it } from "vitest";

import { etcdForThisFile } from "../servers/for-this-file.ts";
import { stalls } from "../stall/index.ts";

// A server of its own, which the kit breaks. Its elections are quick, so that it grants leases of
// one second.
const server = await etcdForThisFile();
const control = new Etcd3({ hosts: server.hosts });
const proxies: AsyncDisposable[] = [];
const open = (hosts: string[]): ReturnType<typeof etcdBackend> => etcdBackend({ hosts }, { minTtlMs: 1_000 });

afterAll(async () => {
  control.close();
  for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
});

const claimsOf = (resource: string): Promise<Record<string, string>> =>
  control
    .getAll()
    .prefix(`leasehold/${encodeName(resource)}/`)
    .strings();

testBackend(
  "etcd",
  {
    ttlMs: 1_000,
    concurrent: true,
    open: async () => open(server.hosts),
    openThroughLink: async () => {
      const proxy = await startFaultProxy({ target: server.address });
      proxies.push(proxy);
      const names = (resource: string) => (chunk: Buffer) => chunk.includes(encodeName(resource));
      let requestBytes = Promise.resolve(0);
      const link: Link = {
        cut: () => proxy.blackhole(),
        slow: (ms) => proxy.latency(ms),
        heal: () => proxy.pass(),
        holdRequests: () => {
          proxy.hold("toServer", { match: names("default:lock:"), limit: 1 });
          // What is held before the caller gives up is the request; behind it comes its
          // cancellation, which may not overtake it in the server.
          requestBytes = proxy
            .until(({ bytes }) => bytes.toServer.held > 0)
            .then(() => proxy.bytes.toServer.held);
        },
        newConnectionsPass: () => {},
        deliverHeld: async () => {
          const { delivered } = proxy.bytes.toServer;
          const bytes = await requestBytes;
          proxy.release("toServer", { bytes });
          await proxy.until(() => proxy.bytes.toServer.delivered >= delivered + bytes);
        },
        // A keepalive names a lease, not a resource; whatever the process says next, it hears no
        // answer to it.
        loseReplyTo: (call, resource) =>
          proxy.cutAfterNextRequest(
            call === "renew" ? {} : { match: names(resource), isReply: endsHttp2Response },
          ),
      };
      return { backend: open([proxy.url("http")]), link };
    },
    elapse: (ms) => wait(ms),
    stalledMs: (sinceNs) => stalls.stalledMs(sinceNs, process.hrtime.bigint()),
    store: {
      flush: async () => {
        await control.delete().prefix("leasehold/").exec();
      },
      // The owner is in the value.
      deleteClaim: async (resource, owner) => {
        for (const [key, value] of Object.entries(await claimsOf(resource)))
          if (value.includes(owner)) await control.delete().key(key).exec();
      },
      leftovers: async (resources) =>
        (await Promise.all(resources.map(claimsOf))).flatMap((claims) => Object.keys(claims)),
      ...(server.canSabotage && {
        pause: () => server.pause(),
        resume: () => server.resume(),
        kill: () => server.kill(),
        start: ({ wipe }: { wipe: boolean }) => (wipe ? server.restart({ wipe }) : server.start()),
      }),
    },
    exempt: {
      "a grant whose push is lost arrives with the next renewal":
        "a watch shares its connection with the replies, so it cannot be lost alone",
      "a store restarted without its data: holders are told, waiters join again, and tokens grow":
        "an etcd without its data is a new cluster: its revisions begin again, and a restore must raise them",
    },
  },
  { describe, it },
);
