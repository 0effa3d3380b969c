import { Etcd3 } from "etcd3";
import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { judge, type History } from "../examples/demo/verdict.ts";
import type { WorkerEvent } from "../examples/demo/worker.ts";
import { runNode } from "./run-node.ts";
import { etcdForThisFile, redisForThisFile } from "./servers/for-this-file.ts";

const redisServer = await redisForThisFile();
const etcdServer = await etcdForThisFile();

const demo = "examples/demo/main.ts";

/** The table at the end, as { row: what was found }. */
function table(stdout: string): Record<string, string> {
  const rows = stdout.matchAll(/^ {2}[✓✗ ] (\S(?:.*?\S)?) {2,}(\S.*)$/gm);
  return Object.fromEntries([...rows].map(([, what, found]) => [what, found]));
}

test.each([
  ["memory", (): string[] => [], "simulated"],
  ["redis", (): string[] => ["--url", redisServer.url], "SIGKILL"],
  ["etcd", (): string[] => ["--url", etcdServer.hosts.join(",")], "SIGKILL"],
])("the demo on %s: every withdrawal counts once, the late write is refused", async (backend, url, words) => {
  const { code, stdout, stderr } = await runNode(demo, ["--backend", backend, ...url()]);
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
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
});

test("the demo explains itself, and says what is wrong with a command line", async () => {
  const help = await runNode(demo, ["--help"]);
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining("--backend memory|redis|etcd") });
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
  ["memory", (): string[] => []],
  ["redis", (): string[] => ["--url", redisServer.url]],
  ["etcd", (): string[] => ["--url", etcdServer.hosts.join(",")]],
])(
  "the demo on %s ends at Ctrl-C, also while a worker is stopped, and leaves no key",
  async (backend, url) => {
    const options = { interruptWhen: (stdout: string) => stdout.includes("FROZEN") };
    const { code, stderr } = await runNode(demo, ["--backend", backend, ...url()], options);
    expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
    expect(await demoKeys()).toEqual([]);
  },
);

/** What the demos of this run have left on the shared servers. */
async function demoKeys(): Promise<string[]> {
  const redis = new Redis(redisServer.url);
  const etcd = new Etcd3({ hosts: etcdServer.hosts });
  try {
    return [
      ...(await redis.keys("leasehold-demo-*")),
      ...(await etcd.getAll().prefix("leasehold-demo-").keys()),
    ];
  } finally {
    redis.disconnect();
    etcd.close();
  }
}

const good: History = {
  events: [
    { kind: "granted", token: 5n },
    { kind: "opened", token: 5n, balance: 100 },
    { kind: "granted", token: 6n },
    { kind: "opened", token: 6n, balance: 100 },
    { kind: "withdrew", token: 6n, balance: 90 },
    { kind: "refused", token: 5n, stillHeld: false, why: "" },
  ].map((event, atMs) => ({ ...event, atMs })) as WorkerEvent[],
  takeovers: [
    { by: "kill", ms: 1 },
    { by: "freeze", ms: 1 },
  ],
};
const account = { initial: 100, amount: 10, found: 90 };

function failing(history: History, found = account.found): string[] {
  const { rows, ok } = judge(history, { ...account, found });
  const failed = rows.filter((row) => row.ok === false).map(({ what }) => what);
  expect(ok).toBe(failed.length === 0);
  return failed;
}

test("the verdict passes a good history, and fails each broken promise by name", () => {
  const without = (kind: string): History => ({
    ...good,
    events: good.events.filter((event) => event.kind !== kind),
  });
  expect(failing(good)).toEqual([]);
  expect(failing(good, 100)).toEqual(["balance found"]);
  expect(failing(good, 80)).toEqual(["balance found"]);
  expect(failing(without("refused"))).toEqual(["stale writes refused"]);
  expect(failing(without("granted"))).toEqual(["tokens strictly increasing"]);
  expect(failing({ ...good, takeovers: [] })).toEqual([
    "takeover after the kill",
    "takeover after the freeze",
  ]);
  const repeated = good.events.map((event) => (event.kind === "granted" ? { ...event, token: 5n } : event));
  expect(failing({ ...good, events: repeated })).toEqual(["tokens strictly increasing"]);
  const late = { kind: "withdrew", token: 5n, balance: 90, atMs: 9 } as const;
  expect(failing({ ...good, events: [...good.events, late] }, 80)).toEqual(["stale writes accepted"]);
});
