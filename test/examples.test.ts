import { Etcd3 } from "etcd3";
import { Redis } from "ioredis";
import { expect, inject, test } from "vitest";
import { judge, type History } from "../examples/leader/verdict.ts";
import { runNode } from "./run-node.ts";

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
  ["redis", (): string[] => ["--url", inject("redisUrl")], "KILLED (SIGKILL)"],
  ["etcd", (): string[] => ["--url", inject("etcdHosts").join(",")], "KILLED (SIGKILL)"],
])("the leader example on %s: a takeover, a hand-over, and terms that grow", async (backend, url, words) => {
  const args = ["leader", "--backend", backend, ...url()];
  const { code, stdout, stderr } = await runNode("examples/run.ts", args, { withinMs: 15_000 });
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(words);
  expect(stdout).toMatch(/host-\d {4}takes over, \d\.\d\d s after the kill/);
  expect(stdout).toMatch(/host-\d {4}leads, [\d.]+ ms after the resignation/);
  expect(stdout.match(/ ✓ /g)).toHaveLength(5);
  expect(await leftKeys()).toEqual([]);
});

test("the leader example ends at Ctrl-C, and leaves no key", async () => {
  const interruptWhen = (stdout: string): boolean => stdout.includes("KILLED");
  const args = ["leader", "--backend", "redis", "--url", inject("redisUrl")];
  const { code, stderr } = await runNode("examples/run.ts", args, { interruptWhen });
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
  expect(await leftKeys()).toEqual([]);
});

/** What the examples of this run have left on the shared servers. */
async function leftKeys(): Promise<string[]> {
  const redis = new Redis(inject("redisUrl"));
  const etcd = new Etcd3({ hosts: inject("etcdHosts") });
  try {
    return [
      ...(await redis.keys("leasehold-leader-*")),
      ...(await etcd.getAll().prefix("leasehold-leader-").keys()),
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
