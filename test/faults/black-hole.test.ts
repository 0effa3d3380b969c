import { createCoordinator, type Backend, type Lease } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { redisBackend } from "@leasehold/redis";
import { startFaultProxy } from "@leasehold/testing";
import { describe, expect, it } from "vitest";
import { expectWithin } from "../stall/index.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

interface StoreUnderTest {
  readonly scheme: string;
  readonly url: () => string;
  readonly open: (url: string) => Backend;
}

const stores: Record<string, StoreUnderTest> = {
  redis: { scheme: "redis", url: () => redisServer.url, open: (url) => redisBackend(url) },
  etcd: {
    scheme: "http",
    url: () => etcdServer.hosts[0]!,
    open: (url) => etcdBackend({ hosts: url }, { minTtlMs: 1_000 }),
  },
};

describe.each(Object.entries(stores))(
  "a holder whose packets vanish, on %s",
  (name, { scheme, url, open }) => {
    it.each([1_000, 5_000])("is told before the ttl of %i ms has ended in the store", async (ttlMs) => {
      const { hostname: host, port } = new URL(url());
      await using proxy = await startFaultProxy({ target: { host, port: Number(port) } });
      await using holder = createCoordinator({ backend: open(proxy.url(scheme)), ttlMs });
      await using rival = createCoordinator({ backend: open(url()), ttlMs, waitMs: Infinity });
      const lock = `black-hole-${ttlMs}-${process.pid}`;

      const lease = await holder.lock(lock).acquire();
      const toldAt = new Promise<bigint>((resolve) =>
        lease.signal.addEventListener("abort", () => resolve(process.hrtime.bigint()), { once: true }),
      );
      const next: Promise<[Lease, bigint]> = rival
        .lock(lock)
        .acquire()
        .then((granted) => [granted, process.hrtime.bigint()]);
      const fromNs = process.hrtime.bigint();
      proxy.blackhole();
      const [told, [granted, takenOver]] = await Promise.all([toldAt, next]);

      const afterMs = expectWithin("the news", ttlMs, { fromNs, toNs: told });
      expect(told).toBeLessThan(takenOver);
      expect(lease.isHeld()).toBe(false);
      expect(granted.fencingToken).toBeGreaterThan(lease.fencingToken);
      const [after, later] = [afterMs, Number(takenOver - told) / 1e6].map(Math.round);
      console.log(
        `black hole on ${name}, ttl ${ttlMs} ms: told after ${after} ms, taken over ${later} ms later`,
      );
    });
  },
);
