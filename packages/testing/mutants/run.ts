import { join } from "node:path";
import { parseArgs } from "node:util";

import { readMutants, type Mutant } from "./mutant.ts";
import { isSuiteName, runSuite, suiteNames, type Verdict } from "./suite.ts";
import { WorkspaceCopy } from "./workspace-copy.ts";

const usage = `Usage: ./pnpmw mutants [name…] [--suite ${suiteNames.join("|")}]

Shows that the conformance kit catches deliberate bugs. Each *.patch in packages/testing/mutants is applied to a
temporary copy of the workspace, and the kit is run there: one of its cases has to fail.

  name            run only the mutants of these names
  --suite SUITE   run only those that this suite has to catch
  --help          show this

Exit code 1 if a mutant survives, if a patch no longer applies, or if a suite fails without any mutant.`;

interface Row {
  readonly mutant: Mutant;
  readonly verdict: Verdict;
  readonly seconds: string;
}

/** An error of whoever started this: told without a stack. */
class UsageError extends Error {}

async function main(): Promise<void> {
  const { values, positionals } = parseArguments();
  if (values.help === true) return console.log(usage);
  const mutants = choose(readMutants(import.meta.dirname), positionals, values.suite);
  using workspace = new WorkspaceCopy(join(import.meta.dirname, "..", "..", ".."));
  // However this ends, nothing is left behind; `using` alone would not see a signal.
  process.once("exit", () => workspace[Symbol.dispose]());
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

  for (const suite of suiteNames.filter((name) => mutants.some((mutant) => mutant.suite === name))) {
    const { verdict, seconds } = await timed(() => runSuite(suite, workspace));
    if (verdict.kind !== "passed")
      throw new UsageError(
        `The ${suite} suite fails without any mutant: ${explain(verdict)}. Mend that first.`,
      );
    console.log(`${suite}: ${verdict.cases} cases pass without a mutant, ${seconds} s`);
  }

  const rows: Row[] = [];
  for (const mutant of mutants) {
    const row = { mutant, ...(await timed(() => tryMutant(mutant, workspace))) };
    rows.push(row);
    const place = `[${rows.length}/${mutants.length}]`;
    console.log(`${place} ${mutant.name} (${mutant.suite}): ${explain(row.verdict)}, ${row.seconds} s`);
  }
  report(rows);
}

function parseArguments(): { values: { suite?: string; help?: boolean }; positionals: string[] } {
  const options = { suite: { type: "string" }, help: { type: "boolean" } } as const;
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${usage}`);
  }
}

function choose(all: Mutant[], names: readonly string[], suite: string | undefined): Mutant[] {
  if (suite !== undefined && !isSuiteName(suite))
    throw new UsageError(`There is no suite "${suite}". There are: ${suiteNames.join(", ")}.`);
  const unknown = names.find((name) => !all.some((mutant) => mutant.name === name));
  if (unknown !== undefined) {
    const known = all.map((mutant) => `  ${mutant.name}`).join("\n");
    throw new UsageError(`There is no mutant "${unknown}". There are:\n${known}`);
  }
  const chosen = all
    .filter((mutant) => names.length === 0 || names.includes(mutant.name))
    .filter((mutant) => suite === undefined || mutant.suite === suite);
  if (chosen.length === 0) throw new UsageError(`None of these mutants is for the ${suite} suite.`);
  // The quick suite first.
  return suiteNames.flatMap((name) => chosen.filter((mutant) => mutant.suite === name));
}

async function tryMutant(mutant: Mutant, workspace: WorkspaceCopy): Promise<Verdict> {
  try {
    workspace.apply(mutant.patch);
  } catch (error) {
    return { kind: "broken", why: `the patch no longer applies\n${(error as Error).message}` };
  }
  try {
    return await runSuite(mutant.suite, workspace);
  } finally {
    workspace.revert(mutant.patch);
  }
}

async function timed(run: () => Promise<Verdict>): Promise<{ verdict: Verdict; seconds: string }> {
  const start = performance.now();
  const verdict = await run();
  return { verdict, seconds: ((performance.now() - start) / 1000).toFixed(1) };
}

function explain(verdict: Verdict): string {
  switch (verdict.kind) {
    case "passed":
      return `SURVIVED ${verdict.cases} cases`;
    case "failed":
      return `caught by "${verdict.caseName}"`;
    case "broken":
      return `ERROR: ${verdict.why.trim()}`;
  }
}

function report(rows: readonly Row[]): void {
  const cells = rows.map(({ mutant, verdict, seconds }) => [
    mutant.name,
    mutant.suite,
    verdict.kind === "failed" ? verdict.caseName : verdict.kind === "passed" ? "SURVIVED" : "ERROR",
    seconds,
  ]);
  const table = [["mutant", "suite", "caught by", "seconds"], ...cells];
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  console.log();
  for (const row of table)
    console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  console.log();
  const missed = rows.filter(({ verdict }) => verdict.kind !== "failed");
  for (const { mutant, verdict } of missed)
    console.log(`${mutant.name}: ${explain(verdict).split("\n", 1)[0]}\n  ${mutant.bug}`);
  console.log(`${rows.length - missed.length} of ${rows.length} mutants caught`);
  if (missed.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 1;
}
