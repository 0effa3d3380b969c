import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

/** Runs the fixtures whose file names contain one of `files`, in a vitest of their own. */
function runFixtures(files: string[], flags: string[] = []): Promise<{ code: number; lines: string[] }> {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const fixtures = join(import.meta.dirname, "fixtures");
  const args = [vitest, "run", "--root", fixtures, ...flags, ...files];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env: { ...process.env, FORCE_COLOR: "1" } }, (error, stdout) => {
      resolve({
        code: typeof error?.code === "number" ? error.code : 0,
        lines: stdout.trimEnd().split("\n"),
      });
    });
  });
}

it.concurrent("names what was skipped, and ends with the counts", async () => {
  const { code, lines } = await runFixtures(["good"]);
  expect(lines.slice(-5)).toEqual([
    "the set-up's last words",
    "Skipped (declared):",
    "  good.fixture.ts > a suite > needs a trait (this backend has no such trait)",
    "",
    "1 passed, 0 failed, 1 skipped",
  ]);
  expect(code).toBe(0);
});

it.concurrent("does not call skipped what -t left out", async () => {
  const { code, lines } = await runFixtures(["good"], ["-t", "a suite > passes"]);
  expect(lines.at(-1)).toBe("1 passed, 0 failed");
  expect(code).toBe(0);
});

it.concurrent("counts a failed hook, and the test that it kept from running, as failed", async () => {
  const { code, lines } = await runFixtures(["hook"]);
  expect(lines.at(-1)).toBe("0 passed, 2 failed");
  expect(lines).not.toContain("Skipped (declared):");
  expect(code).toBe(1);
});

it.concurrent("counts a file that does not load as failed", async () => {
  const { code, lines } = await runFixtures(["unloadable"]);
  expect(lines.at(-1)).toBe("0 passed, 1 failed");
  expect(code).toBe(1);
});

it.concurrent("counts an error that no test caught as failed", async () => {
  const { code, lines } = await runFixtures(["unhandled"]);
  expect(lines.at(-1)).toBe("1 passed, 1 failed");
  expect(code).toBe(1);
});

it.concurrent("does not read as green when there was nothing to run", async () => {
  const { code, lines } = await runFixtures(["no-such-file"]);
  expect(lines.at(-1)).toBe("0 passed, 1 failed");
  expect(code).toBe(1);
});
