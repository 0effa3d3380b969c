import { Cluster, Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { claimPort, freePort } from "./servers/free-port.ts";
import { startEtcd, startRedis, startRedisCluster } from "./servers/index.ts";
import { climb, type ServerKind, type Starters } from "./servers/rung.ts";
import { waitUntil } from "./servers/wait-until.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

function client(url: string): Redis {
  const redis = new Redis(url, {
    commandTimeout: 500,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  });
  // A server that is killed under its client is the point here: commands report it, the event need
  // not.
  redis.on("error", () => {});
  cleanups.push(async () => redis.disconnect());
  return redis;
}

async function etcdHealth(host: string): Promise<string> {
  const response = await fetch(`${host}/health`, { signal: AbortSignal.timeout(1500) });
  return response.text();
}

test("redis: kill and start keep the port, and the data with an append-only file; wipe removes it", async ({
  skip,
}) => {
  const server = await startRedis({ persistence: "aof" });
  cleanups.push(() => server.stop());
  if (!server.canSabotage) skip("the Redis comes from the environment");
  await client(server.url).set("key", "value");
  await server.kill();
  await expect(client(server.url).ping()).rejects.toThrow("retries per request");
  await server.start();
  expect(server.url).toBe(`redis://127.0.0.1:${server.address.port}`);
  expect(await client(server.url).get("key")).toBe("value");
  await server.restart({ wipe: true });
  expect(await client(server.url).get("key")).toBe(null);
});

test("redis: without persistence a restart loses the data", async ({ skip }) => {
  const server = await startRedis();
  cleanups.push(() => server.stop());
  if (!server.canSabotage) skip("the Redis comes from the environment");
  await client(server.url).set("key", "value");
  await server.restart();
  expect(await client(server.url).get("key")).toBe(null);
});

test("redis: a paused server answers nobody, a resumed one everybody; a paused one can be killed", async ({
  skip,
}) => {
  const server = await startRedis();
  cleanups.push(() => server.stop());
  if (!server.canSabotage) skip("the Redis comes from the environment");
  const redis = client(server.url);
  expect(await redis.ping()).toBe("PONG");
  await server.pause();
  await expect(redis.ping()).rejects.toThrow("Command timed out");
  await server.resume();
  expect(await redis.ping()).toBe("PONG");
  await server.pause();
  await server.kill();
  await server.start();
  expect(await client(server.url).ping()).toBe("PONG");
});

test("redis cluster: three masters hold all slots, and one can be killed and started", async ({ skip }) => {
  const cluster = await startRedisCluster();
  cleanups.push(() => cluster.stop());
  if (!cluster.canSabotage) skip("the Redis Cluster comes from the environment");
  const redis = new Cluster(cluster.urls);
  cleanups.push(async () => redis.disconnect());
  await Promise.all(["a", "b", "c", "d"].map((key) => redis.set(key, key)));
  expect(redis.nodes("master")).toHaveLength(3);
  expect(cluster.members.map(({ address }) => `redis://127.0.0.1:${address.port}`)).toEqual(cluster.urls);

  const [, second] = cluster.members;
  await second?.kill();
  const first = client(cluster.urls[0] ?? "");
  await waitUntil("the others notice", async () => String(await first.cluster("NODES")).includes("fail"));
  await second?.start();
  await waitUntil(
    "the cluster is whole again",
    async () => !String(await first.cluster("NODES")).includes("fail"),
  );
});

test("etcd: pause, kill and start keep the port and the data; wipe removes it", async ({ skip }) => {
  const server = await startEtcd();
  cleanups.push(() => server.stop());
  if (!server.canSabotage) skip("the etcd comes from the environment");
  const [host = ""] = server.hosts;
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const call = async (method: string, body: object): Promise<unknown> =>
    (await fetch(`${host}/v3/kv/${method}`, { method: "POST", body: JSON.stringify(body) })).json();
  await call("put", { key: base64("key"), value: base64("value") });
  await server.pause();
  await expect(etcdHealth(host)).rejects.toThrow("timeout");
  await server.resume();
  await server.kill();
  await expect(etcdHealth(host)).rejects.toThrow("fetch failed");
  await server.start();
  expect(await call("range", { key: base64("key") })).toMatchObject({ kvs: [{ value: base64("value") }] });
  await server.restart({ wipe: true });
  expect(await call("range", { key: base64("key") })).not.toHaveProperty("kvs");
});

test("etcd: three members go on when one is killed, and stop when two are", async ({ skip }) => {
  const server = await startEtcd({ members: 3 });
  cleanups.push(() => server.stop());
  if (!server.canSabotage) skip("the etcd comes from the environment");
  const [first, second] = server.members;
  const [, , lastHost = ""] = server.hosts;
  await first?.kill();
  await waitUntil("the rest has a leader", async () => (await etcdHealth(lastHost)).includes("true"));
  await second?.kill();
  await waitUntil("the last one has none", async () => !(await etcdHealth(lastHost)).includes("true"));
  await Promise.all([first?.start(), second?.start()]);
  expect(await etcdHealth(lastHost)).toContain("true");
});

const nowhere: ServerKind = {
  name: "nosuch",
  program: "nosuch-server",
  urlVariable: "NOSUCH_URL",
  image: "leasehold.invalid/nosuch:1",
  imageVariable: "NOSUCH_IMAGE",
};
const starters: Starters<string> = {
  urls: (value) => `urls ${value}`,
  docker: () => Promise.reject(new Error("must not be started")),
  path: async (rung) => rung,
};

test("the ladder: addresses from the environment come first, and secrets in them are not printed", async () => {
  const lines: string[] = [];
  const env = { NOSUCH_URL: "nosuch://user:secret@host:1" };
  const taken = await climb(nowhere, starters, { env, log: (line) => lines.push(line) });
  expect(taken).toBe("urls nosuch://user:secret@host:1");
  expect(lines).toEqual(["nosuch by urls (NOSUCH_URL=nosuch://***@host:1)"]);
});

test("the ladder: the rung that was found is the rest of the run's, and is said once", async () => {
  const lines: string[] = [];
  const here: ServerKind = { ...nowhere, program: "node" };
  const env: NodeJS.ProcessEnv = { PATH: process.env.PATH, LEASEHOLD_SERVERS: "path" };
  const log = (line: string): number => lines.push(line);
  await climb(here, starters, { env, log });
  delete env["LEASEHOLD_SERVERS"];
  // Docker, the rung above, is not looked at again: it would be asked for an image that is nowhere.
  expect(await climb({ ...here, name: "another" }, starters, { env, log })).toBe("path");
  expect(lines).toEqual([expect.stringMatching(/^nosuch by path /)]);
});

test("a free port is claimed until its process ends: nobody else gets it, listening or not", async () => {
  const ports = await Promise.all(Array.from({ length: 200 }, freePort));
  expect(new Set(ports).size).toBe(ports.length);
  for (const port of ports) expect(await claimPort(port)).toBe(false);
});

test.each([
  ["urls", "urls: NOSUCH_URL is not set"],
  ["path", "path: nosuch-server is not on PATH"],
])("the ladder: a forced rung %s that does not bear is a clear error", async (rung, reason) => {
  const climbed = climb(nowhere, starters, { env: { LEASEHOLD_SERVERS: rung } });
  await expect(climbed).rejects.toThrow(
    `nosuch is needed, and LEASEHOLD_SERVERS=${rung} does not work here (${reason}). Do one of these: ` +
      "install nosuch-server (Debian, Ubuntu: apt-get install nosuch-server); " +
      "start Docker with access to the image leasehold.invalid/nosuch:1 (another one: NOSUCH_IMAGE); " +
      "or set NOSUCH_URL to one that runs.",
  );
});

test("the ladder: docker cannot be forced with an image that is nowhere, and an unknown rung is told", async () => {
  const docker = climb(nowhere, starters, { env: { LEASEHOLD_SERVERS: "docker" } });
  await expect(docker).rejects.toThrow("LEASEHOLD_SERVERS=docker does not work here (docker: ");
  const unknown = climb(nowhere, starters, { env: { LEASEHOLD_SERVERS: "podman" } });
  await expect(unknown).rejects.toThrow(
    'LEASEHOLD_SERVERS is "podman"; set it to one of urls, docker, path, apt',
  );
});
