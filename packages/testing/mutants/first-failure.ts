import { writeFileSync } from "node:fs";

import type { Reporter, SerializedError, TestCase, TestModule, Vitest } from "vitest/node";

/** What a run came to, as far as it went. */
export interface Outcome {
  readonly passed: number;
  /** The first case that failed, by the clock. */
  readonly failure?: { readonly caseName: string; readonly name: string; readonly message: string };
  /** Of no case: what did not load, or was thrown where nothing caught it. */
  readonly errors: readonly string[];
}

/** The environment variable with the path to which the outcome is written, as JSON. */
export const outcomeVariable = "LEASEHOLD_OUTCOME";

/**
 * A reporter that ends the run at its first failure. Vitest's own `--bail` ends the worker from
 * within, and with it results that were not reported yet: when many cases fail at once it can name
 * none of them.
 */
export default class FirstFailure implements Reporter {
  #vitest: Vitest | undefined;
  #passed = 0;
  #failure: Outcome["failure"];

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestCaseResult(testCase: TestCase): void {
    const result = testCase.result();
    if (result.state === "passed") this.#passed += 1;
    if (result.state !== "failed" || this.#failure !== undefined) return;
    const [error] = result.errors;
    this.#failure = { caseName: testCase.name, name: error?.name ?? "", message: error?.message ?? "" };
    // Now, since a run that is cancelled need not report its end.
    this.#write([]);
    void this.#vitest?.cancelCurrentRun("test-failure");
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    this.#write([...modules.flatMap((module) => module.errors()), ...unhandled]);
  }

  #write(errors: readonly { message: string }[]): void {
    const outcome: Outcome = {
      passed: this.#passed,
      ...(this.#failure && { failure: this.#failure }),
      errors: errors.map(({ message }) => message),
    };
    writeFileSync(process.env[outcomeVariable] ?? "outcome.json", JSON.stringify(outcome));
  }
}
