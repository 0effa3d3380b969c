import { existsSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.ts";
import { checkComments } from "./check-comments.ts";
import { checkExports } from "./check-exports.ts";
import { checkPacked } from "./check-packed.ts";
import { root, workspacePackages } from "./packages.ts";
import { CommandFailed, run } from "./run.ts";

type Step = readonly [name: string, step: () => Promise<unknown>, hint?: string];

const steps: readonly Step[] = [
  ["format", () => run("prettier", ["--check", "."]), 'run "./pnpmw format"'],
  ["lint", () => run("oxlint", [])],
  ["comments", checkComments, "re-wrap or reword them; none goes beyond column 100"],
  ["types", checkTypes],
  ["build", build],
  ["exports of the build", checkExports],
  ["packed packages (publint, attw)", checkPacked],
];

async function checkTypes(): Promise<void> {
  const projects = [root, ...workspacePackages().map(({ folder }) => folder)].filter((folder) =>
    existsSync(join(folder, "tsconfig.json")),
  );
  for (const project of projects) await run("tsc", ["--noEmit", "--pretty", "false", "-p", project]);
}

/** Runs one step and announces it. False if it failed, after all that it had to say. */
async function passes([name, step, hint]: Step): Promise<boolean> {
  const start = performance.now();
  process.stdout.write(`check: ${name} … `);
  try {
    await step();
    console.log(`ok, ${seconds(start)}`);
    return true;
  } catch (error) {
    console.log(`FAILED, ${seconds(start)}`);
    if (!(error instanceof CommandFailed)) throw error;
    const advice = hint === undefined ? "" : `; ${hint}`;
    console.error(`\n${error.output.trim()}\n\ncheck: ${name} failed: ${error.message}${advice}`);
    return false;
  }
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

const began = performance.now();
for (const step of steps) {
  if (await passes(step)) continue;
  process.exitCode = 1;
  break;
}
if (process.exitCode === undefined) console.log(`check: all ${steps.length} steps ok, ${seconds(began)}`);
