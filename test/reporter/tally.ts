import type { TestCase, TestModule, TestSuite } from "vitest/node";

/** What one run came to, counted so that nothing that went wrong can be missing from it. */
export interface Tally {
  passed: number;
  failed: number;
  /** Full names of the tests that were declared skipped, with the reason where one was given. */
  skipped: string[];
}

/**
 * Counts a run. A file that did not load, a hook that failed and an error outside every test count
 * as failed, and so does each test that such a failure kept from running: vitest calls those
 * "skipped", but nobody declared them so.
 *
 * @param modules the test files as vitest hands them to its reporters
 * @param unhandledErrors how many errors no test caught
 * @param namePattern the pattern given with `-t`, if any: a test that it left out was not skipped,
 * only not asked for
 */
export function tally(modules: readonly TestModule[], unhandledErrors: number, namePattern?: RegExp): Tally {
  const result: Tally = { passed: 0, failed: unhandledErrors, skipped: [] };
  const visit = (parent: TestModule | TestSuite, path: string[], broken: boolean): void => {
    for (const child of parent.children) {
      if (child.type === "suite") {
        const errors = child.errors().length;
        result.failed += errors;
        visit(child, [...path, child.name], broken || errors > 0);
      } else {
        count(child, [...path, child.name], broken);
      }
    }
  };
  const count = (test: TestCase, path: string[], broken: boolean): void => {
    const outcome = test.result();
    if (namePattern !== undefined && !namePattern.test(path.join(" > "))) return;
    if (outcome.state === "passed") {
      result.passed += 1;
    } else if (outcome.state === "skipped" && !broken) {
      const reason = outcome.note === undefined ? "" : ` (${outcome.note})`;
      result.skipped.push([test.module.relativeModuleId, ...path].join(" > ") + reason);
    } else {
      result.failed += 1;
    }
  };
  for (const module of modules) {
    const errors = module.errors().length;
    result.failed += errors;
    visit(module, [], errors > 0);
  }
  return result;
}

/** The last line of a run: plain text, no colour, made to be read by machines too. */
export function closingLine({ passed, failed, skipped }: Tally): string {
  const counts = [`${passed} passed`, `${failed} failed`];
  if (skipped.length > 0) counts.push(`${skipped.length} skipped`);
  return counts.join(", ");
}
