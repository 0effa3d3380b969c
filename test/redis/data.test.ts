import { redisBackend } from "@leasehold/redis";
import type { Degradation } from "@leasehold/core";
import { describe, expect, onTestFinished, test } from "vitest";

import { ownRedis } from "./own-redis.ts";
import { lockRequest, ticketOf } from "./requests.ts";

const { server, admin } = await ownRedis();

const timeoutMs = 2_000;

function open(): ReturnType<typeof redisBackend> {
  const backend = redisBackend(server.url);
  onTestFinished(async () => backend[Symbol.asyncDispose]());
  return backend;
}

describe("tickets", () => {
  test("grow over FLUSHALL, SCRIPT FLUSH, and the loss of the hash", async () => {
    const { leases } = open();
    const tickets: bigint[] = [];
    for (const damage of ["FLUSHALL", "SCRIPT", "DEL", "none"]) {
      const request = lockRequest("tickets");
      tickets.push(ticketOf(await leases.acquire(request)));
      if (damage === "FLUSHALL") await admin.flushall();
      if (damage === "SCRIPT") await admin.script("FLUSH");
      if (damage === "DEL") await admin.del("leasehold:{tickets}");
      await leases.release(request);
    }
    expect(tickets).toEqual([...new Set(tickets)].toSorted((a, b) => (a < b ? -1 : 1)));
  });

  test("grow when the last one is ahead of the server's clock, and keep their last digit", async () => {
    const { leases } = open();
    // A failover to a server whose clock is behind: the last ticket is from the future, and beyond
    // 15 digits.
    const last = 8999999999999999n;
    await admin.hset("leasehold:{ahead}", "last", `${last}0000000000000`);
    const tickets: bigint[] = [];
    for (let i = 0; i < 3; i++) tickets.push(ticketOf(await leases.acquire(lockRequest("ahead"))));
    expect(tickets).toEqual([last + 1n, last + 2n, last + 3n]);
    const { holders, line } = await leases.inspect("ahead", { timeoutMs });
    expect([...holders, ...line].map(({ ticket }) => ticket)).toEqual(tickets);
  });
});

test("no key is ever without an end, whatever the steps, and each lives as long as the longest claim", async () => {
  const { leases } = open();
  const long = lockRequest("ends", { ttlMs: 60_000 });
  const short = lockRequest("ends", { ttlMs: 300 });
  const steps = [
    () => leases.acquire(long),
    () => leases.acquire(short),
    () => leases.acquire(lockRequest("ends", { ttlMs: 300 })),
    () => leases.release({ ...short, departedForMs: 500 }),
    () => leases.release({ ...lockRequest("never held"), departedForMs: 500 }),
    () => leases.acquire(long),
    () => leases.release(long),
  ];
  for (const step of steps) {
    await step();
    for (const key of await admin.keys("*")) expect(await admin.pttl(key), key).not.toBe(-1);
    const { holders } = await leases.inspect("ends", { timeoutMs });
    const needed = holders.some(({ owner }) => owner === long.owner) ? 58_000 : -2;
    expect(await admin.pttl("leasehold:{ends}")).toBeGreaterThanOrEqual(needed);
    for (const key of ["leasehold:{ends}:line", "leasehold:{ends}:expiry"])
      // -2: there is no line.
      expect([-2, needed], key).toContain(Math.min(await admin.pttl(key), needed));
  }
});

describe("a server out of memory", () => {
  test("refuses new claims whole; those it has are renewed, speak, are evicted and released", async () => {
    const { leases } = open();
    // Somebody waits on the grant that the release pushes: else it would be given back, sooner or
    // later than the last look.
    leases.onGrant({ granted: () => true, lookAgain: () => {} });
    const alone = lockRequest("alone");
    const [holder, waiter] = [lockRequest("line"), lockRequest("line")];
    const tickets: bigint[] = [];
    for (const request of [alone, holder, waiter]) tickets.push(ticketOf(await leases.acquire(request)));
    await admin.config("SET", "maxmemory", "1");
    onTestFinished(async () => void (await admin.config("SET", "maxmemory", "0")));

    for (const resource of ["new", "alone", "line"]) {
      const before = await admin.keys("*");
      const joining = leases.acquire(lockRequest(resource));
      await expect(joining).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: false });
      expect((await admin.keys("*")).toSorted()).toEqual(before.toSorted());
    }
    const renewals = [alone, holder, waiter].map((request, i) => ({ ...request, ticket: tickets[i]! }));
    const answers = await leases.renew(renewals, { timeoutMs });
    expect(answers.map(({ kind }) => kind)).toEqual(["renewed", "renewed", "renewed"]);
    expect(await leases.acquire(alone)).toMatchObject({ kind: "granted", ticket: tickets[0] });
    const proposals = [alone, holder].map((request, i) => ({ ...request, ticket: tickets[i]! }));
    for (const proposal of proposals) {
      expect(await leases.propose({ ...proposal, value: "v".repeat(4_000), sequence: 1 })).toBe(true);
      expect(await leases.evict(proposal)).toBe(true);
      const [seen] = (await leases.inspect(proposal.resource.name, { timeoutMs })).holders;
      expect(seen).toMatchObject({ owner: proposal.owner, sequence: 1, evicted: true });
    }
    expect(await leases.release({ ...alone, departedForMs: 5_000 })).toBe(true);
    expect(await leases.release(holder)).toBe(true);
    expect((await leases.inspect("line", { timeoutMs })).holders).toMatchObject([{ owner: waiter.owner }]);
    expect(await leases.release({ ...lockRequest("unknown"), departedForMs: 5_000 })).toBe(false);
  });
});

describe("an evicted key", () => {
  test.each(["", ":line", ":expiry"])(
    "base%s: the line is void, everybody is gone, and it can be had",
    async (part) => {
      const { leases } = open();
      const [holder, waiter] = [lockRequest("evicted"), lockRequest("evicted")];
      const tickets = [ticketOf(await leases.acquire(holder)), ticketOf(await leases.acquire(waiter))];
      await admin.del(`leasehold:{evicted}${part}`);
      const renewals = [holder, waiter].map((request, i) => ({ ...request, ticket: tickets[i]! }));
      const answers = await leases.renew(renewals, { timeoutMs });
      expect(answers).toEqual([{ kind: "gone" }, { kind: "gone" }]);
      expect(await leases.inspect("evicted", { timeoutMs })).toEqual({ holders: [], line: [] });
      const fresh = [lockRequest("evicted"), lockRequest("evicted")] as const;
      expect(ticketOf(await leases.acquire(fresh[0]))).toBeGreaterThan(tickets[1]!);
      expect((await leases.acquire(fresh[1])).kind).toBe("queued");
      const { holders, line } = await leases.inspect("evicted", { timeoutMs });
      expect([...holders, ...line].map(({ owner }) => owner)).toEqual(fresh.map(({ owner }) => owner));
    },
  );
});

describe("what others wrote under our keys", () => {
  const base = "leasehold:{foreign}";
  const instead = async (key: string, write: () => Promise<unknown>): Promise<void> => {
    await admin.del(key);
    await write();
  };
  /** A claim of somebody, with this for a state. */
  const lone = (state: string): object => ({
    solo: `${"1".repeat(16)}${String(Date.now() + 4_000).padStart(13, "0")}somebody`,
    info: `5000 1 1${state} inbox value`,
  });
  const refused = { kind: "unanswered", error: { code: "BACKEND_UNAVAILABLE", permanent: true } };
  const foreign: [name: string, spoil: () => Promise<unknown>, renewal: object][] = [
    ["another type for the hash", () => instead(base, () => admin.set(base, "5ecret")), refused],
    [
      "another type for the line",
      () => instead(`${base}:line`, () => admin.set(`${base}:line`, "5ecret")),
      refused,
    ],
    [
      "another type for the expiries",
      () => instead(`${base}:expiry`, () => admin.lpush(`${base}:expiry`, "5")),
      refused,
    ],
    ["a last ticket that is none", () => admin.hset(base, "last", "5ecret"), { kind: "renewed" }],
    ["a running sum that is none", () => admin.hset(base, "used", "5ecret"), refused],
    [
      "a lone claim that is none",
      () => instead(base, () => admin.hset(base, "solo", "5ecret", "info", "5ecret")),
      refused,
    ],
    [
      "a state of a lone claim that is none",
      () => instead(base, () => admin.hset(base, lone("/5ecret"))),
      refused,
    ],
    [
      "a sequence that is none",
      () => instead(base, () => admin.hset(base, lone(`/${"9".repeat(17)}`))),
      refused,
    ],
  ];
  test.each(foreign)("%s: a permanent error, an event, no other claim harmed", async (_, spoil, renewal) => {
    const backend = open();
    const { leases } = backend;
    const heard: Degradation[] = [];
    backend.onDegraded((degradation) => heard.push(degradation));
    const [fine, holder] = [lockRequest("fine"), lockRequest("foreign")];
    const ticket = ticketOf(await leases.acquire(fine));
    const held = ticketOf(await leases.acquire(holder));
    await leases.acquire(lockRequest("foreign"));
    await spoil();
    const before = await admin.keys("*");

    const joining = leases.acquire(lockRequest("foreign"));
    await expect(joining).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE", permanent: true });
    await expect(joining).rejects.toThrow(base);
    await expect(joining).rejects.not.toThrow("5ecret");
    expect(heard).toContainEqual(expect.objectContaining({ reason: "malformed-record" }));
    expect((await admin.keys("*")).toSorted()).toEqual(before.toSorted());

    const answers = await leases.renew(
      [
        { ...holder, ticket: held },
        { ...fine, ticket },
      ],
      { timeoutMs },
    );
    expect(answers[0]).toMatchObject(renewal);
    expect(answers[1]).toMatchObject({ kind: "renewed", granted: true });
  });
});
