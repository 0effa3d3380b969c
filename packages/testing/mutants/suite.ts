import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { outcomeVariable, type Outcome } from "./first-failure.ts";
import type { WorkspaceCopy } from "./workspace-copy.ts";

interface Suite {
  readonly project: string;
  readonly file: string;
  /** How long one case may take. */
  readonly caseLimitMs: number;
  /** How long the run may take. Above it no case can be named, so that is no catch. */
  readonly runLimitMs: number;
}

const suites = {
  memory: {
    project: "unit",
    file: "packages/testing/src/kit/memory.test.ts",
    caseLimitMs: 10_000,
    runLimitMs: 60_000,
  },
  redis: { project: "servers", file: "test/kit/redis.test.ts", caseLimitMs: 30_000, runLimitMs: 240_000 },
} as const satisfies Record<string, Suite>;

/** The conformance kit on one backend. */
export type SuiteName = keyof typeof suites;

export const suiteNames: readonly SuiteName[] = Object.keys(suites) as SuiteName[];

export function isSuiteName(name: string): name is SuiteName {
  return Object.hasOwn(suites, name);
}

export type Verdict =
  | { readonly kind: "passed"; readonly cases: number }
  /** A case of the kit failed by an assertion, or timed out. */
  | { readonly kind: "failed"; readonly caseName: string }
  /** It failed in a way that says nothing about the promise: it did not load, or a call threw. */
  | { readonly kind: "broken"; readonly why: string };

/** Runs a suite in the copy, until its first failure. */
export async function runSuite(name: SuiteName, workspace: WorkspaceCopy): Promise<Verdict> {
  const suite = suites[name];
  const outcomePath = join(workspace.tempFolder, "outcome.json");
  rmSync(outcomePath, { force: true });
  const reporter = "--reporter=./packages/testing/mutants/first-failure.ts";
  const limit = `--testTimeout=${suite.caseLimitMs}`;
  const args = ["run", "--project", suite.project, suite.file, reporter, limit];
  const { code, output, late } = await runVitest(workspace, args, suite.runLimitMs, outcomePath);
  const outcome = existsSync(outcomePath)
    ? (JSON.parse(readFileSync(outcomePath, "utf8")) as Outcome)
    : undefined;
  if (outcome?.failure !== undefined) return judge(outcome.failure);
  if (late) return { kind: "broken", why: `the run hung for ${suite.runLimitMs} ms\n${output}` };
  if (outcome === undefined) return { kind: "broken", why: `vitest did not run\n${output}` };
  if (code === 0 && outcome.passed > 0) return { kind: "passed", cases: outcome.passed };
  return {
    kind: "broken",
    why: `no case failed, and yet the run did\n${outcome.errors.join("\n")}\n${output}`,
  };
}

function judge({ caseName, name, message }: NonNullable<Outcome["failure"]>): Verdict {
  if (name === "AssertionError" || message.startsWith("Test timed out")) return { kind: "failed", caseName };
  const why = `"${caseName}" failed, but neither by an assertion nor by a time-out\n${name}: ${message}`;
  return { kind: "broken", why };
}

function runVitest(
  { folder, tempFolder }: WorkspaceCopy,
  args: readonly string[],
  limitMs: number,
  outcomePath: string,
): Promise<{ code: number | null; output: string; late: boolean }> {
  const env = {
    ...process.env,
    TMPDIR: tempFolder,
    [outcomeVariable]: outcomePath,
    // The kit needs neither: an address that nobody calls keeps the shared servers from being
    // started.
    LEASEHOLD_REDIS_CLUSTER_URL: "redis://127.0.0.1:1",
    LEASEHOLD_ETCD_HOSTS: "http://127.0.0.1:1",
  };
  const program = join(folder, "node_modules", "vitest", "vitest.mjs");
  // A process group of its own, so that its workers and servers can be ended with it, whatever a
  // mutant did to them.
  const child = spawn(process.execPath, [program, ...args], {
    cwd: folder,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // The group has ended.
    }
  };
  // Before the copy is removed, or they would go on writing to it.
  process.prependOnceListener("exit", kill);
  let output = "";
  let late = false;
  const collect = (chunk: string): void => void (output = (output + chunk).slice(-4_000));
  child.stdout.setEncoding("utf8").on("data", collect);
  child.stderr.setEncoding("utf8").on("data", collect);
  const timer = setTimeout(() => {
    late = true;
    kill();
  }, limitMs);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", kill);
    child.once("close", (code) => {
      clearTimeout(timer);
      process.off("exit", kill);
      resolve({ code, output, late });
    });
  });
}
