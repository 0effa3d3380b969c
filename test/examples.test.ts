import { Etcd3 } from "etcd3";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { judge as judgeBreaker, type History as BreakerHistory } from "../examples/breaker/verdict.ts";
import { judge, type History } from "../examples/leader/verdict.ts";
import { makeOrders } from "../examples/payments/orders.ts";
import { judge as judgePayments, type History as Payments } from "../examples/payments/verdict.ts";
import { runNode } from "./run-node.ts";
import { checkUnstalled, unlessStalled } from "./stall/index.ts";
import { etcdForThisFile, redisForThisFile } from "./servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

// Each example is a program that ends by itself: nothing of the SDK may keep it alive once it has closed.
test.each([
  ["lock", ["mine until released; every write carries the token, a bigint", "released, total 99"]],
  ["try-lock", ["host-a: done", "host-b: host-a is at it already"]],
  ["fencing-in-process", ["refused: STALE_TOKEN the device still has 10"]],
  ["sql-fencing", ["refused: STALE_TOKEN the balance is 900"]],
  ["semaphore", ["12 uploads, at most 10 permits in use at once"]],
  [
    "read-write-lock",
    ["anna reads edition 1", "bela reads edition 1", "cleo reads edition 2", "rebuilt, alone: edition 2"],
  ],
  [
    "election",
    [
      "host-1 has stopped",
      "host-1 schedules; its orders carry the term, a bigint",
      "host-2 has stopped",
      "host-2 schedules; its orders carry the term, a bigint",
      "seen: host-1, to be found at http://host-1",
      "seen: host-2, to be found at http://host-2",
    ],
  ],
  [
    "membership",
    [
      "those who stayed kept all they had: true",
      "worker-a has 2 of 12",
      "worker-a has 4 of 12",
      "worker-b has 4 of 12",
      "worker-b has 8 of 12",
      "worker-c has 6 of 12",
    ],
  ],
])("examples/%s.ts runs and prints what it promises", async (name, lines) => {
  const { code, stdout, stderr } = await runNode("examples/run.ts", [name]);
  expect({ code, stderr, lines: stdout.trim().split("\n").sort() }).toEqual({ code: 0, stderr: "", lines });
});

test("an example is found by its name, and what there is is said", async () => {
  const list = await runNode("examples/run.ts");
  expect(list).toMatchObject({
    code: 0,
    stderr: "",
    stdout: expect.stringMatching(/demo\n.*leader\n.*lock\n/s),
  });
  expect(list.stdout).not.toContain("shared");
  const unknown = await runNode("examples/run.ts", ["laeder"]);
  expect(unknown).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining('no example "laeder"'),
  });
  expect(unknown.stderr).toContain("leader");
  const help = await runNode("examples/run.ts", ["leader", "--help"]);
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining("--backend memory|redis|etcd") });
  const wrong = await runNode("examples/run.ts", ["leader", "--backend", "zookeeper"]);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('got "zookeeper"') });
});

test.each([
  ["memory", (): string[] => [], "three coordinators in this one process"],
  ["redis", (): string[] => ["--url", redisServer.url], "KILLED (SIGKILL)"],
  ["etcd", (): string[] => ["--url", etcdServer.hosts.join(",")], "KILLED (SIGKILL)"],
])("the leader example on %s: a takeover, a hand-over, and terms that grow", async (backend, url, words) => {
  const args = ["leader", "--backend", backend, ...url()];
  const stdout = await shown(args);
  expect(stdout).toContain(words);
  expect(stdout).toMatch(/host-\d {4}takes over, \d\.\d\d s after the kill/);
  expect(stdout).toMatch(/host-\d {4}leads, [\d.]+ ms after the resignation/);
  expect(stdout.match(/ ✓ /g)).toHaveLength(5);
  expect(await leftKeys()).toEqual([]);
});

test("the leader example ends at Ctrl-C, and leaves no key", async () => {
  const interruptWhen = (stdout: string): boolean => stdout.includes("KILLED");
  const args = ["leader", "--backend", "redis", "--url", redisServer.url];
  const { code, stderr } = await runNode("examples/run.ts", args, { interruptWhen });
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  expect(await leftKeys()).toEqual([]);
});

test.each([
  ["memory", (): string[] => [], "two replicas in this one process"],
  ["redis", (): string[] => ["--url", redisServer.url], "KILLED (SIGKILL)"],
  ["etcd", (): string[] => ["--url", etcdServer.hosts.join(",")], "KILLED (SIGKILL)"],
])(
  "the payments example on %s: lost replies, a kill in the middle of a charge, and nobody charged twice",
  async (backend, url, words) => {
    const args = ["payments", "--backend", backend, ...url()];
    const stdout = await shown(args);
    expect(stdout).toContain(words);
    expect(stdout).toMatch(/bank +asked again for order-6, under the same downstreamKey: moves nothing/);
    expect(stdout).toMatch(/took over a charge of globex\/charges: attempt 2, stored/);
    expect(stdout).toMatch(/✓ charged exactly once +12 of 12 orders; 0 charged twice/);
    expect(stdout).toMatch(/charges made +12, 780\.00 € in all/);
    expect(stdout).toMatch(/replays +[1-9]\d*\n/);
    expect(stdout).toMatch(/conflicts \(409\) +[1-9]\d*\n/);
    expect(stdout.match(/ ✓ /g)).toHaveLength(4);
    expect(await leftKeys("payments")).toEqual([]);
  },
);

test("the payments example ends at Ctrl-C, and leaves no key and no process", async () => {
  const interruptWhen = (stdout: string): boolean => stdout.includes("KILLED");
  const args = ["payments", "--backend", "redis", "--url", redisServer.url];
  const { code, stderr } = await runNode("examples/run.ts", args, { interruptWhen });
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  expect(await leftKeys("payments")).toEqual([]);
});

/**
 * What an example printed that ended well. Each judges itself, by times that users care about as well: those prove
 * nothing while the machine stalls.
 */
function shown(args: readonly string[]): Promise<string> {
  const usableMs = 100;
  return unlessStalled(usableMs, async () => {
    const fromNs = process.hrtime.bigint();
    const { code, stdout, stderr } = await runNode("examples/run.ts", args);
    checkUnstalled(usableMs, fromNs, () => expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" }));
    return stdout;
  });
}

/** What the examples of this run have left on the shared servers. */
async function leftKeys(show = "leader"): Promise<string[]> {
  const redis = new Redis(redisServer.url);
  const etcd = new Etcd3({ hosts: etcdServer.hosts });
  try {
    return [
      ...(await redis.keys(`leasehold-${show}-*`)),
      ...(await redis.keys("leasehold-breaker-*")),
      ...(await etcd.getAll().prefix(`leasehold-${show}-`).keys()),
      ...(await etcd.getAll().prefix("leasehold-breaker-").keys()),
    ];
  } finally {
    redis.disconnect();
    etcd.close();
  }
}

test("the leader example's verdict passes a good history, and fails each broken promise by name", () => {
  const leader = (term: bigint): { candidate: string; value: string; term: bigint } => {
    return { candidate: "host", value: "", term };
  };
  const term = (each: bigint, atMs: number): History["events"] => [
    { kind: "elected", term: each, atMs },
    { kind: "leads", term: each, atMs: atMs + 1 },
    { kind: "leads", term: each, atMs: atMs + 2 },
  ];
  const good: History = {
    events: [...term(5n, 0), ...term(6n, 10), ...term(9n, 20)],
    seen: [null, leader(5n), null, leader(6n), leader(9n), null],
    takeoverMs: 1_500,
    handOverMs: 3,
  };
  const failing = (change: Partial<History>): string[] =>
    judge({ ...good, ...change }, 1_500).flatMap(({ what, ok }) => (ok === false ? [what] : []));
  expect(failing({})).toEqual([]);
  expect(failing({ takeoverMs: 3_501 })).toEqual(["takeover after the kill"]);
  expect(failing({ handOverMs: 201 })).toEqual(["hand-over after the resign"]);
  expect(failing({ seen: [null, leader(5n), leader(6n), leader(9n), leader(11n), null] })).toEqual([]);
  expect(failing({ seen: [null, leader(5n), leader(9n), null] })).toEqual(["observer saw every term"]);
  expect(failing({ events: [...term(5n, 0), ...term(6n, 1), ...term(9n, 20)] })).toEqual([
    "one leader at a time",
  ]);
  expect(failing({ events: [...term(6n, 0), ...term(5n, 10), ...term(9n, 20)], seen: good.seen })).toEqual([
    "terms strictly increasing",
    "observer saw every term",
  ]);
});

test.each([
  ["memory", (): string[] => [], "five coordinators in this one process"],
  ["redis", (): string[] => ["--url", redisServer.url], "five processes on the Redis at"],
  ["etcd", (): string[] => ["--url", etcdServer.hosts.join(",")], "five processes on the etcd at"],
])("the breaker example on %s: votes, trip, probe, close", async (backend, url, words) => {
  const args = ["breaker", "--backend", backend, ...url()];
  const stdout = await shown(args);
  expect(stdout).toContain(words);
  expect(stdout).toMatch(/host-1 {4}stands in line: a vote/);
  expect(stdout).toMatch(/fleet {5}OPEN at all five, within \d+ ms/);
  expect(stdout).toMatch(/host-\d {4}HAS PROBED: failure/);
  expect(stdout).toMatch(/host-\d {4}HAS PROBED: success/);
  expect(stdout).toMatch(/fleet {5}CLOSED at all five, within \d+ ms \(a probe succeeded\)/);
  expect(stdout.match(/ ✓ /g)).toHaveLength(6);
  expect(await leftKeys()).toEqual([]);
});

test("the breaker example's verdict passes a good history, and fails each broken promise by name", () => {
  const nodes = ["a", "b"];
  const job = { nodes, share: 1, ttlMs: 1_000, pollMs: 500, openMs: 1_000 };
  const fleet = (to: "open" | "half-open" | "closed", atMs: number): BreakerHistory["events"] =>
    nodes.map((node, index) => ({ kind: "fleet", to, node, atMs: atMs + index, attempt: 1, reason: "" }));
  const probed = (outcome: string, atMs: number): BreakerHistory["events"] => [
    { kind: "probed", outcome, node: "a", atMs },
  ];
  const vote = (node: string, atMs: number): BreakerHistory["events"] => [{ kind: "voted", node, atMs }];
  const good: BreakerHistory = {
    events: [
      ...vote("a", 10),
      ...vote("a", 110),
      ...vote("b", 120),
      ...fleet("open", 300),
      ...fleet("half-open", 1_300),
      ...probed("failure", 1_400),
      ...fleet("open", 1_401),
      ...probed("success", 3_400),
      ...fleet("closed", 3_401),
    ],
    arrivals: [
      { node: "a", atMs: 290, endMs: 310 },
      { node: "a", atMs: 1_350, endMs: 1_399 },
      { node: "b", atMs: 3_350, endMs: 3_399 },
      { node: "b", atMs: 3_402, endMs: 3_420 },
    ],
    downAtMs: 100,
    isLineEmpty: true,
  };
  const failing = (change: Partial<BreakerHistory>): string[] =>
    judgeBreaker({ ...good, ...change }, job).flatMap(({ what, ok }) => (ok === false ? [what] : []));
  expect(failing({})).toEqual([]);
  expect(failing({ isLineEmpty: false })).toEqual(["votes taken back"]);
  expect(failing({ events: [...fleet("open", 20), ...good.events] })).toEqual(["one sick node"]);
  const late = { node: "b", atMs: 1_360, endMs: 1_390 };
  expect(failing({ arrivals: [...good.arrivals, late] })).toEqual([
    "sent while not closed",
    "probes at once",
  ]);
  const alone = { node: "b", atMs: 2_000, endMs: 2_050 };
  expect(failing({ arrivals: [...good.arrivals, alone] })).toEqual(["sent while not closed"]);
  const without = (kind: string, to: string): BreakerHistory["events"] =>
    good.events.filter(
      (event) => !(event.kind === kind && "to" in event && event.to === to && event.node === "b"),
    );
  expect(failing({ events: without("fleet", "open") })).toEqual(["open for all, by a quorum"]);
  expect(failing({ events: without("fleet", "closed") })).toEqual(["closed for all, by a probe"]);
  const slow = good.events.map((event) => (event.atMs === 301 ? { ...event, atMs: 1_200 } : event));
  expect(failing({ events: slow })).toEqual(["open for all, by a quorum"]);
});

test("the payments example's verdict passes a good history, and fails each broken promise by name", () => {
  const orders = makeOrders(2);
  const receipts = (replayed: boolean): Payments["receipts"]["paid"] =>
    orders.map((order) => {
      const body = JSON.stringify({ order: order.name });
      return { order, body, replayed, tries: 1, unanswered: 0, conflicts: 0 };
    });
  const requests = orders.map(({ name, amount, key }) => {
    return { order: name, amount, shop: "shop-1", key, repeated: false, atMs: 0 };
  });
  const good: Payments = {
    orders,
    receipts: { paid: receipts(false), again: receipts(true) },
    requests,
    takeoverMs: 1_500,
  };
  const failing = (change: Partial<Payments>): string[] =>
    judgePayments({ ...good, ...change }, 1_500).flatMap(({ what, ok }) => (ok === false ? [what] : []));
  expect(failing({})).toEqual([]);
  expect(failing({ requests: [...requests, { ...requests[0]!, repeated: true }] })).toEqual([]);
  expect(failing({ requests: [...requests, requests[0]!] })).toEqual(["charged exactly once"]);
  expect(failing({ requests: requests.slice(1) })).toEqual(["charged exactly once"]);
  expect(failing({ requests: [{ ...requests[0]!, amount: 1 }, requests[1]!] })).toEqual([
    "charged exactly once",
  ]);
  expect(failing({ takeoverMs: null })).toEqual(["takeover after the kill"]);
  expect(failing({ takeoverMs: 3_501 })).toEqual(["takeover after the kill"]);
  expect(failing({ receipts: { paid: receipts(false), again: receipts(false) } })).toEqual([
    "replayed when asked again",
  ]);
  const [first, second] = receipts(true);
  const crossed = [{ ...first!, body: second!.body }, second!];
  expect(failing({ receipts: { paid: receipts(false), again: crossed } })).toEqual([
    "one result for each key",
  ]);
  expect(failing({ receipts: { paid: crossed, again: crossed } })).toEqual(["one result for each key"]);
});
