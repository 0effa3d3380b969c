import { DefaultReporter } from "vitest/node";
import type { SerializedError, TestModule, TestRunEndReason, TestSpecification, Vitest } from "vitest/node";
import { closingLine, tally, type Tally } from "./tally.ts";

/**
 * Vitest's default reporter, and after it every test that was skipped, by name, and last of all one
 * plain line,
 * `N passed, N failed, N skipped`.
 */
export default class ClosingLineReporter extends DefaultReporter {
  #vitest: Vitest | undefined;
  #started = false;
  #tally: Tally = { passed: 0, failed: 0, skipped: [] };

  override onInit(vitest: Vitest): void {
    super.onInit(vitest);
    this.#vitest = vitest;
    // The servers are stopped, and may report, after the run's end: only at exit is the line sure
    // to be the last one.
    if (!vitest.config.watch) process.once("exit", (code) => this.#printAtExit(code));
  }

  override onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.#started = true;
    super.onTestRunStart(specifications);
  }

  override onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    super.onTestRunEnd(modules, errors, reason);
    this.#tally = tally(modules, errors.length, this.#vitest?.getGlobalTestNamePattern());
    if (this.#vitest?.config.watch === true) print(this.#tally);
  }

  #printAtExit(code: number): void {
    // A run that ends badly without a failed test (no file matched, servers that did not start)
    // must not read as green.
    if (code !== 0 && this.#tally.failed === 0) this.#tally.failed = 1;
    if (this.#started || code !== 0) print(this.#tally);
  }
}

function print(result: Tally): void {
  const lines =
    result.skipped.length > 0
      ? ["Skipped (declared):", ...result.skipped.map((name) => `  ${name}`), ""]
      : [];
  process.stdout.write([...lines, closingLine(result), ""].join("\n"));
}
