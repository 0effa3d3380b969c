import { Etcd3 } from "etcd3";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { runNode } from "./run-node.ts";
import { etcdForThisFile, redisForThisFile } from "./servers/for-this-file.ts";
import { checkUnstalled, unlessStalled } from "./stall/index.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const demo = "demos/run.ts";

/** The server of these tests, for the command line. */
function url(backend: string): string[] {
  if (backend === "redis") return ["--url", redisServer.url];
  if (backend === "etcd") return ["--url", etcdServer.hosts.join(",")];
  return [];
}

/** The table at the end, as { row: what was found }. */
function table(stdout: string): Record<string, string> {
  const rows = stdout.matchAll(/^ {2}[✓✗ ] (\S(?:.*?\S)?) {2,}(\S.*)$/gm);
  return Object.fromEntries([...rows].map(([, what, found]) => [what, found]));
}

test.each([
  ["memory", "simulated"],
  ["redis", "SIGKILL"],
  ["etcd", "SIGKILL"],
])(
  "the account demo on %s: every withdrawal counts once, the late write is refused",
  async (backend, words) => {
    const stdout = await shown(["--backend", backend, ...url(backend)]);
    const rows = table(stdout);
    // Of 48 planned, the killed worker leaves out what it had not made yet.
    const withdrawals = Number(rows["withdrawals"]);
    expect(withdrawals).toBeGreaterThanOrEqual(40);
    expect(withdrawals).toBeLessThan(48);
    expect(rows).toMatchObject({
      "balance expected": String(1000 - 10 * withdrawals),
      "balance found": String(1000 - 10 * withdrawals),
      "tokens strictly increasing": expect.stringMatching(/^yes/),
      "stale writes refused": "1",
      "stale writes accepted": "0",
      "takeover after the kill": expect.stringMatching(/ s$/),
      "takeover after the freeze": expect.stringMatching(/ s$/),
    });
    expect(stdout).toContain(words);
    expect(stdout.trimEnd().split("\n").length).toBeLessThanOrEqual(45);
  },
);

test("the demo explains itself, and says what is wrong with a command line", async () => {
  const help = await runNode(demo, ["--help"]);
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining("--backend memory|redis|etcd") });
  expect(help.stdout).toMatch(/account \(the default\)\n.*breaker\n.*leader\n.*payments\n/);
  const unknown = await runNode(demo, ["laeder"]);
  expect(unknown).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining('no demo "laeder"') });
  for (const [args, complaint] of [
    [["--bakend", "redis"], "--bakend"],
    [["--backend", "zookeeper"], 'may be memory, redis, etcd; got "zookeeper"'],
    [["--url", "redis://localhost"], "--url needs --backend redis or --backend etcd"],
    [["--backend", "redis", "--url", "http://localhost"], "redis:// or rediss://"],
  ] as const) {
    const { code, stderr } = await runNode(demo, args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(complaint) });
  }
});

test.each([
  ["account", "memory", "FROZEN"],
  ["account", "redis", "FROZEN"],
  ["account", "etcd", "FROZEN"],
  ["leader", "memory", "KILLED"],
  ["leader", "redis", "KILLED"],
  ["payments", "memory", "KILLED"],
  ["payments", "redis", "KILLED"],
  ["breaker", "memory", "THE DEPENDENCY FAILS"],
  ["breaker", "redis", "THE DEPENDENCY FAILS"],
])("the %s demo on %s ends at Ctrl-C, and leaves no key and no process", async (name, backend, moment) => {
  const interruptWhen = (stdout: string): boolean => stdout.includes(moment);
  const { code, stderr } = await runNode(demo, [name, "--backend", backend, ...url(backend)], {
    interruptWhen,
  });
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  expect(await leftKeys()).toEqual([]);
});

/**
 * What a demo printed that ended well. Each sums up what it saw, by times that users care about as
 * well: those prove nothing while the machine stalls.
 */
function shown(args: readonly string[]): Promise<string> {
  const usableMs = 100;
  return unlessStalled(usableMs, async () => {
    const fromNs = process.hrtime.bigint();
    const { code, stdout, stderr } = await runNode(demo, args);
    checkUnstalled(usableMs, fromNs, () => expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" }));
    return stdout;
  });
}

/** What the demos of this run have left on the servers. */
async function leftKeys(): Promise<string[]> {
  const redis = new Redis(redisServer.url);
  const etcd = new Etcd3({ hosts: etcdServer.hosts });
  const names = ["account", "leader", "payments", "breaker"];
  try {
    const left = names.map(async (name) => [
      ...(await redis.keys(`leasehold-${name}-*`)),
      ...(await etcd.getAll().prefix(`leasehold-${name}-`).keys()),
    ]);
    return (await Promise.all(left)).flat();
  } finally {
    redis.disconnect();
    etcd.close();
  }
}

test.each([
  ["memory", "three candidates, simulated in this process"],
  ["redis", "KILLED (SIGKILL)"],
  ["etcd", "KILLED (SIGKILL)"],
])("the leader demo on %s: a takeover, a hand-over, and terms that grow", async (backend, words) => {
  const args = ["leader", "--backend", backend, ...url(backend)];
  const stdout = await shown(args);
  expect(stdout).toContain(words);
  expect(stdout).toMatch(/host-\d {4}takes over, \d\.\d\d s after the kill/);
  expect(stdout).toMatch(/host-\d {4}leads, [\d.]+ ms after the resignation/);
  expect(stdout.match(/ ✓ /g)).toHaveLength(5);
  expect(await leftKeys()).toEqual([]);
});

test.each([
  ["memory", "two replicas, simulated in this process"],
  ["redis", "KILLED (SIGKILL)"],
  ["etcd", "KILLED (SIGKILL)"],
])(
  "the payments demo on %s: lost replies, a kill in the middle of a charge, and nobody charged twice",
  async (backend, words) => {
    const args = ["payments", "--backend", backend, ...url(backend)];
    const stdout = await shown(args);
    expect(stdout).toContain(words);
    expect(stdout).toMatch(/bank +asked again for order-6, under the same downstreamKey: moves nothing/);
    expect(stdout).toMatch(/took over a charge of globex\/charges: attempt 2, stored/);
    expect(stdout).toMatch(/✓ charged exactly once +12 of 12 orders; 0 charged twice/);
    expect(stdout).toMatch(/charges made +12, 780\.00 € in all/);
    expect(stdout).toMatch(/replays +[1-9]\d*\n/);
    expect(stdout).toMatch(/conflicts \(409\) +[1-9]\d*\n/);
    expect(stdout.match(/ ✓ /g)).toHaveLength(4);
    expect(await leftKeys()).toEqual([]);
  },
);

test.each([
  ["memory", "five nodes, simulated in this process"],
  ["redis", "each a process, on the Redis at"],
  ["etcd", "each a process, on the etcd at"],
])("the breaker demo on %s: votes, trip, probe, close", async (backend, words) => {
  const args = ["breaker", "--backend", backend, ...url(backend)];
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
