import { createCoordinator, type Coordinator, type LeaseholdEvent } from "@leasehold/core";
import { etcdBackend } from "@leasehold/etcd";
import { Etcd3, Range } from "etcd3";
import { expect, onTestFinished, test, vi } from "vitest";

import { startEtcd, type EtcdServer } from "../servers/index.ts";
import { patienceMs } from "../stall/index.ts";

const adminLogin = { username: "root", password: "r00t-password" };

/** A server for one test, with a user `leasehold` and one `root`, and authentication off. */
async function startWithUsers(password: string): Promise<{ server: EtcdServer; admin: Etcd3 }> {
  const server = await startEtcd({ log: () => {} });
  const admin = new Etcd3({ hosts: server.hosts });
  onTestFinished(async () => {
    admin.close();
    await server.stop();
  });
  const role = await admin.role("leasehold").create();
  await role.grant({ permission: "Readwrite", range: Range.prefix("leasehold/") });
  await (await admin.user("leasehold").create(password)).addRole("leasehold");
  await (await admin.user(adminLogin.username).create(adminLogin.password)).addRole("root");
  return { server, admin };
}

function open(
  server: EtcdServer,
  auth: Parameters<typeof etcdBackend>[0],
): {
  coordinator: Coordinator;
  events: LeaseholdEvent[];
} {
  const events: LeaseholdEvent[] = [];
  const backend = etcdBackend(auth, { minTtlMs: 1_000 });
  const coordinator = createCoordinator({
    backend,
    ttlMs: 5_000,
    onEvent: (event) => void events.push(event),
  });
  onTestFinished(() => coordinator.close());
  expect(server.canSabotage).toBe(true);
  return { coordinator, events };
}

const isRefusal =
  (type: "degraded" | "restored") =>
  (event: LeaseholdEvent): boolean =>
    event.type === type && event.reason === "refusing";

async function takeAndGive(coordinator: Coordinator, name: string): Promise<void> {
  const lease = await coordinator.lock(name).acquire({ waitMs: patienceMs });
  await lease.release();
}

test("authentication enabled, disabled and enabled again: what is held is kept, and locks can be had", async ({
  skip,
}) => {
  const auth = { username: "leasehold", password: "s3cret-password" };
  const { server, admin } = await startWithUsers(auth.password);
  if (!server.canSabotage) skip("the etcd comes from the environment");
  const { coordinator, events } = open(server, { hosts: server.hosts, auth });
  const renewals = (): number => events.filter(({ type }) => type === "renewed").length;
  const held = await coordinator.lock("held").acquire();
  const other = open(server, { hosts: server.hosts, auth }).coordinator;
  const waiting = other.lock("held").acquire({ waitMs: patienceMs });
  await vi.waitFor(async () => expect((await coordinator.inspect("held")).line).toHaveLength(1), patienceMs);

  const root = new Etcd3({ hosts: server.hosts, auth: adminLogin });
  onTestFinished(() => root.close());
  const switches = [
    () => admin.auth.authEnable(),
    () => root.auth.authDisable(),
    () => admin.auth.authEnable(),
  ];
  for (const [index, flip] of switches.entries()) {
    await vi.waitFor(flip, patienceMs);
    const before = renewals();
    await takeAndGive(coordinator, `after ${index}`);
    await vi.waitFor(() => expect(renewals()).toBeGreaterThan(before + 1), patienceMs);
    expect(held.isHeld()).toBe(true);
  }
  expect(events.filter(({ type }) => type === "lost")).toEqual([]);
  await held.release();
  await (await waiting).release();
});

test("a password that changes: a function is asked for the new one, and nothing is lost meanwhile", async ({
  skip,
}) => {
  let password = "the-first-password";
  const { server, admin } = await startWithUsers(password);
  if (!server.canSabotage) skip("the etcd comes from the environment");
  await admin.auth.authEnable();
  const { coordinator, events } = open(server, {
    hosts: server.hosts,
    auth: async () => ({ username: "leasehold", password }),
  });
  const held = await coordinator.lock("held").acquire();
  const root = new Etcd3({ hosts: server.hosts, auth: adminLogin });
  onTestFinished(() => root.close());

  await root.user("leasehold").setPassword("the-second-password");
  // The process does not know it yet: it is refused, and goes on asking for as long as it may wait.
  const asking = coordinator.lock("new").acquire({ waitMs: patienceMs });
  await vi.waitFor(() => expect(events.some(isRefusal("degraded"))).toBe(true), patienceMs);
  password = "the-second-password";
  await (await asking).release();
  await takeAndGive(coordinator, "another");
  await vi.waitFor(() => expect(events.some(isRefusal("restored"))).toBe(true), patienceMs);
  expect(held.isHeld()).toBe(true);
  await held.release();
});
