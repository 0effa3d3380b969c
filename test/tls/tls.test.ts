import { inspect } from "node:util";

import { createCoordinator, type Backend } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { redisBackend } from "@leasehold/redis";
import { beforeAll, describe, expect, it } from "vitest";

import { patienceMs } from "../stall/index.ts";
import { certificateFor, type Certificate } from "./certificates.ts";
import { terminateTls } from "./tls-terminator.ts";
import { etcdForThisFile, redisForThisFile } from "../servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

let ours: Certificate;
let otherAuthority: Certificate;
let otherHost: Certificate;
beforeAll(async () => {
  [ours, otherAuthority, otherHost] = await Promise.all([
    certificateFor("127.0.0.1"),
    certificateFor("127.0.0.1"),
    certificateFor("elsewhere.example"),
  ]);
});

const stores: Record<string, { url: () => string; open: (port: number, ca: Buffer) => Backend }> = {
  redis: {
    url: () => redisServer.url,
    open: (port, ca) => redisBackend({ host: "127.0.0.1", port, tls: { ca }, password: "canary-password" }),
  },
  etcd: {
    url: () => etcdServer.hosts[0]!,
    open: (port, ca) =>
      etcdBackend(
        { hosts: `https://127.0.0.1:${port}`, credentials: { rootCertificate: ca } },
        { minTtlMs: 1_000 },
      ),
  },
};

describe.each(Object.entries(stores))("%s over TLS", (name, { url, open }) => {
  const target = (): { host: string; port: number } => {
    const { hostname: host, port } = new URL(url());
    return { host, port: Number(port) };
  };

  it("works with the authority that it was given", async () => {
    await using tls = await terminateTls(ours, target());
    // The shared Redis has no password, so this one connects without.
    const backend =
      name === "redis"
        ? redisBackend({ host: "127.0.0.1", port: tls.port, tls: { ca: ours.ca } })
        : open(tls.port, ours.ca);
    await using coordinator = createCoordinator({ backend, ttlMs: 2_000 });
    const held = await coordinator.lock(`tls-${name}`).acquire();
    const waiting = coordinator.lock(`tls-${name}`).acquire();
    await held.release();
    expect((await waiting).fencingToken).toBeGreaterThan(held.fencingToken);
    expect(tls.delivered()).toBeGreaterThan(0);
  });

  it.each(["another authority", "another host"])(
    "sends nothing to a server with a certificate of %s",
    async (whose) => {
      const certificate = whose === "another authority" ? otherAuthority : otherHost;
      await using tls = await terminateTls(certificate, target());
      const trusted = whose === "another authority" ? ours.ca : otherHost.ca;
      await using coordinator = createCoordinator({ backend: open(tls.port, trusted), ttlMs: 2_000 });
      const failure = await coordinator
        .lock(`tls-${name}`)
        .acquire({ waitMs: 800 })
        .catch((error: Error) => error);
      expect(failure).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
      const why = whose === "another authority" ? /TLS: .*authority/ : /TLS: .*another host name/;
      expect((failure as Error).message).toMatch(why);
      expect((failure as Error).message).toContain(`127.0.0.1:${tls.port}`);
      expect(inspect(failure, { depth: 9 })).not.toContain("canary-password");
      expect(tls.delivered(), "neither in clear nor otherwise").toBe(0);
    },
  );

  it("does not fall back to plain text with a server that speaks no TLS", async () => {
    await using coordinator = createCoordinator({ backend: open(target().port, ours.ca), ttlMs: 2_000 });
    const failure = coordinator.lock(`tls-${name}`).acquire({ waitMs: 800 });
    await expect(failure).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    await expect(failure).rejects.toThrow(/speak TLS/);
    await expect(failure).rejects.toThrow(`127.0.0.1:${target().port}`);
  });
});

it("asks a function for etcd's certificates again when it cannot connect with those that it gave", async () => {
  const { hostname: host, port } = new URL(etcdServer.hosts[0]!);
  await using tls = await terminateTls(ours, { host, port: Number(port) });
  let authority = otherAuthority.ca;
  let asked = 0;
  const backend = etcdBackend(
    {
      hosts: `https://127.0.0.1:${tls.port}`,
      credentials: () => {
        asked += 1;
        return { rootCertificate: authority };
      },
    },
    { minTtlMs: 1_000 },
  );
  await using coordinator = createCoordinator({ backend, ttlMs: 2_000 });
  await expect(coordinator.lock("renewed").acquire({ waitMs: 800 })).rejects.toMatchObject({
    code: "BACKEND_UNAVAILABLE",
  });
  expect(asked).toBeGreaterThan(1);
  authority = ours.ca;
  const lease = await coordinator.lock("renewed").acquire({ waitMs: patienceMs });
  expect(lease.isHeld()).toBe(true);
  await lease.release();
});
