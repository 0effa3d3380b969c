import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runNode } from "./run-node.ts";

const root = join(import.meta.dirname, "..");

// Each example is a program that ends by itself: nothing of the SDK may keep it alive once it has
// closed.
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
  expect(list).toMatchObject({ code: 0, stderr: "", stdout: expect.stringMatching(/election\n.*lock\n/s) });
  expect(list.stdout).not.toMatch(/run|leader/);
  const unknown = await runNode("examples/run.ts", ["lokc"]);
  expect(unknown).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringContaining('no example "lokc"'),
  });
  expect(unknown.stderr).toContain("lock");
  expect(unknown.stderr).toContain("./pnpmw demo --help");
});

test("a demo is found as an example, too", async () => {
  const help = await runNode("examples/run.ts", ["leader", "--help"]);
  expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining("--backend memory|redis|etcd") });
});

test("an example is read in a minute: 12 to 46 lines", () => {
  const lengths = globSync("examples/*.ts", { cwd: root })
    .filter((path) => path !== "examples/run.ts")
    .map((path) => ({ path, lines: readFileSync(join(root, path), "utf8").trimEnd().split("\n").length }));
  expect(lengths.filter(({ lines }) => lines < 12 || lines > 46)).toEqual([]);
});
