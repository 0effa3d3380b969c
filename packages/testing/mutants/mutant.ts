import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

import { isSuiteName, suiteNames, type SuiteName } from "./suite.ts";

/** A deliberate bug, kept as a patch. */
export interface Mutant {
  /** The patch's file name, without its ending. */
  readonly name: string;
  /** What a developer might plausibly have written. */
  readonly bug: string;
  /** The conformance suite that has to catch it. */
  readonly suite: SuiteName;
  /** The patch, by its whole path. */
  readonly patch: string;
}

/**
 * Reads the patches of a folder, by name. Each begins with two lines: `Bug: <a sentence>` and
 * `Suite: memory | redis`.
 *
 * @throws Error when a patch does not say what it is
 */
export function readMutants(folder: string): Mutant[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".patch"));
  return files.sort().map((file) => {
    const patch = join(folder, file);
    const [, bug, suite = ""] = /^Bug: (.+)\nSuite: (.+)\n/.exec(readFileSync(patch, "utf8")) ?? [];
    if (bug === undefined || !isSuiteName(suite))
      throw new Error(`${file} must begin with "Bug: <a sentence>" and "Suite: ${suiteNames.join(" | ")}".`);
    return { name: basename(file, ".patch"), bug, suite, patch };
  });
}
