import { Cluster, Redis } from "ioredis";
import { expect, onTestFinished, test } from "vitest";
import { serverAddress } from "./server-address.ts";

function address(client: Redis | Cluster): string {
  onTestFinished(() => client.disconnect());
  return serverAddress(client);
}

const lazyConnect = true;
const redis = (source: string): Redis => new Redis(source, { lazyConnect });

test("host and port, and never a user or a password", () => {
  expect(address(redis("redis://bob:5ecret@redis.internal:6380/3"))).toBe("redis.internal:6380");
  expect(address(redis("rediss://:5ecret@redis.internal"))).toBe("redis.internal:6379");
  expect(address(new Redis({ lazyConnect }))).toBe("localhost:6379");
  expect(address(new Redis({ host: "::1", port: 7000, lazyConnect }))).toBe("[::1]:7000");
  expect(address(new Redis({ path: "/run/redis.sock", lazyConnect }))).toBe("/run/redis.sock");
  const sentinels = [26379, 26380].map((port) => ({ host: "10.0.0.1", port }));
  expect(address(new Redis({ sentinels, name: "main", password: "5ecret", lazyConnect }))).toBe(
    'master "main" of the Sentinels 10.0.0.1:26379, 10.0.0.1:26380',
  );
});

test("a Cluster that was never connected is named by what it was given", () => {
  const nodes = ["redis://bob:5ecret@a.internal:7001", { host: "b.internal", port: 7002 }, 7003, "7004"];
  const cluster = new Cluster(nodes, { lazyConnect, redisOptions: { password: "5ecret" } });
  expect(address(cluster)).toBe("the Cluster of a.internal:7001, b.internal:7002, localhost:7003 and others");
});
