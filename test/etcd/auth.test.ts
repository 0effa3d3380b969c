import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

import { createCoordinator, type LeaseholdEvent } from "@leasehold/core";
import { etcdBackend, etcdFencingGuard } from "@leasehold/etcd";
import { Etcd3, Range } from "etcd3";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";

import { patienceMs } from "../stall/index.ts";
import { startEtcd, type EtcdServer } from "../servers/index.ts";
import { ask, beginRequest, begun, extend, finish } from "./executions.ts";
import { lockResource } from "../lock-resource.ts";

const run = promisify(execFile);
const password = "s3cret-password";

const grants = [
  ["role", "add", "leasehold"],
  ["role", "grant-permission", "--prefix=true", "leasehold", "readwrite", "leasehold/"],
  ["user", "grant-role", "leasehold", "leasehold"],
];

// With authentication on, so it is nobody else's.
let server: EtcdServer;
let root: Etcd3;

/**
 * Makes the role as `role.md` says; where there is no etcdctl, by the calls that its commands make.
 */
beforeAll(async () => {
  server = await startEtcd({ log: () => {} });
  if (!server.canSabotage) return;
  const setup = new Etcd3({ hosts: server.hosts });
  if (await hasCtl()) {
    await ctl("user", "add", `leasehold:${password}`);
    for (const command of grants) await ctl(...command);
  } else {
    const role = await setup.role("leasehold").create();
    await role.grant({ permission: "Readwrite", range: Range.prefix("leasehold/") });
    await (await setup.user("leasehold").create(password)).addRole("leasehold");
  }
  const admin = await setup.user("root").create(password);
  await admin.addRole("root");
  await setup.auth.authEnable();
  setup.close();
  root = new Etcd3({ hosts: server.hosts, auth: { username: "root", password } });
});
afterAll(async () => {
  root?.close();
  await server.stop();
});
beforeEach(({ skip }) => {
  if (!server.canSabotage)
    skip("the etcd comes from the environment: its authentication is not ours to switch on");
});

function ctl(...args: string[]): Promise<unknown> {
  const env = { ...process.env, ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: server.hosts.join(",") };
  return run("etcdctl", args, { env });
}

function hasCtl(): Promise<boolean> {
  return ctl("version").then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}

const auth = { username: "leasehold", password };

test("the page on roles says what was done here", async () => {
  const page = await readFile(new URL("../../packages/etcd/role.md", import.meta.url), "utf8");
  for (const command of grants) expect(page).toContain(`etcdctl ${command.join(" ")}`);
});

test("a role on one prefix is enough for everything", async () => {
  const backends = [auth, auth].map((each) =>
    etcdBackend({ hosts: server.hosts, auth: each }, { minTtlMs: 1_000 }),
  );
  let renewals = 0;
  const onEvent = ({ type }: LeaseholdEvent): void => void (renewals += type === "renewed" ? 1 : 0);
  const [a, b] = backends.map((backend) => createCoordinator({ backend, ttlMs: 1_000, onEvent }));
  const held = await a!.lock("r").acquire();
  const waiting = b!.lock("r").acquire();
  await vi.waitFor(async () => expect((await a!.inspect("r")).line).toHaveLength(1), patienceMs);
  expect(await b!.lock("r").tryAcquire()).toBe(null);
  await vi.waitFor(() => expect(renewals).toBeGreaterThan(1), patienceMs);
  expect(held.isHeld()).toBe(true);
  await held.release();
  const lease = await waiting;
  expect(lease.isHeld()).toBe(true);
  await lease.release();
  await a!.close();
  await b!.close();
  const client = new Etcd3({ hosts: server.hosts, auth });
  const guard = etcdFencingGuard(client);
  await guard.claim("r", lease.fencingToken);
  await expect(guard.claim("r", held.fencingToken)).rejects.toMatchObject({ code: "STALE_TOKEN" });
  client.close();
  const { leases } = await root.leaseClient.leaseLeases();
  expect(leases).toEqual([]);
});

test("that role also proclaims, observes, evicts and inspects what others hold", async () => {
  const [a, b] = [auth, auth].map((each) =>
    createCoordinator({ backend: etcdBackend({ hosts: server.hosts, auth: each }, { minTtlMs: 1_000 }) }),
  );
  const seen: (string | undefined)[] = [];
  const look = async (): Promise<void> => {
    for await (const leader of b!.election("e", { candidate: "b" }).observe()) seen.push(leader?.value);
  };
  const looking = look();
  await vi.waitFor(() => expect(seen).toEqual([undefined]), patienceMs);
  const leadership = await a!.election("e", { candidate: "a" }).campaign({ ttlMs: 3_000 });
  await leadership.proclaim("proclaimed");
  await vi.waitFor(() => expect(seen.at(-1)).toBe("proclaimed"), patienceMs);
  expect(await b!.evict("e", leadership.owner, { recipe: "election" })).toBe(true);
  expect((await b!.inspect("e", { recipe: "election" })).holders).toMatchObject([{ evicted: true }]);
  await vi.waitFor(() => expect(leadership.signal.reason).toMatchObject({ reason: "evicted" }), patienceMs);
  await leadership.resign();
  await vi.waitFor(() => expect(seen.at(-1)).toBe(undefined), patienceMs);
  await a!.close();
  await b!.close();
  await looking;
});

test("that role also begins, extends, ends, watches, replays and takes over executions", async () => {
  const [a, b] = [auth, auth].map((each) =>
    etcdBackend({ hosts: server.hosts, auth: each }, { minTtlMs: 1_000 }),
  );
  let changes = 0;
  const stopWatching = b!.idempotency.watch("role", () => void (changes += 1));
  await vi.waitFor(() => expect(changes).toBe(1), patienceMs);
  const lost = await begun(a!, beginRequest("role", { leaseMs: 1_000 }));
  expect((await extend(a!, lost)).kind).toBe("extended");
  await vi.waitFor(async () => expect((await ask(b!, "role")).kind).toBe("expired"), patienceMs);
  const successor = await begun(b!, beginRequest("role"));
  expect(await finish(a!, lost)).toBe("fenced");
  expect(await finish(b!, successor)).toBe("done");
  expect(await ask(a!, "role")).toMatchObject({ kind: "finished", body: "result" });
  expect(changes).toBeGreaterThan(1);
  stopWatching();
  await a![Symbol.asyncDispose]();
  await b![Symbol.asyncDispose]();
  await using elsewhere = etcdBackend({ hosts: server.hosts, auth }, { prefix: "leasehold-not" });
  const refused = { code: "BACKEND_UNAVAILABLE", permanent: true };
  await expect(ask(elsewhere, "role")).rejects.toMatchObject(refused);
});

test("a token that the server has forgotten is replaced: calls, keepalives and watches go on", async () => {
  const events: string[] = [];
  const open = (): ReturnType<typeof createCoordinator> =>
    createCoordinator({
      backend: etcdBackend({ hosts: server.hosts, auth }),
      ttlMs: 30_000,
      onEvent: ({ type }) => events.push(type),
    });
  await using a = open();
  await using b = open();
  const held = await a.lock("forgotten").acquire();
  const waiting = b.lock("forgotten").acquire();
  await vi.waitFor(() => expect(events).toContain("queued"), patienceMs);
  // Tokens are kept in memory only.
  await server.restart();
  await vi.waitFor(() => held.release(), patienceMs);
  const lease = await waiting;
  expect(lease.isHeld()).toBe(true);
  await lease.release();
  expect((await b.lock("forgotten").acquire()).isHeld()).toBe(true);
});

test("a password that is wrong, and a prefix that is not allowed, fail at once, for good, without the password", async () => {
  const request = {
    resource: lockResource("r"),
    owner: "a".repeat(32),
    ttlMs: 2_000,
    weight: 1,
    queue: true,
  };
  const rest = { value: "", maxWaiters: 10, timeoutMs: 5_000 };
  await using wrong = etcdBackend({ hosts: server.hosts, auth: { ...auth, password: "wr0ng" } });
  await using elsewhere = etcdBackend({ hosts: server.hosts, auth }, { prefix: "leasehold-not" });
  await using nobody = etcdBackend({ hosts: server.hosts });
  for (const backend of [wrong, elsewhere, nobody]) {
    const error = await backend.leases.acquire({ ...request, ...rest }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
    expect((error as Error).message).toMatch(/refused access/);
    expect(String((error as Error).message)).not.toMatch(/wr0ng|s3cret/);
  }
});
