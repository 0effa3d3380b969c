import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

import { compileCache } from "./compile-cache.ts";

const root = join(import.meta.dirname, "..");

interface Block {
  /** `README.md:31`: the line of its fence. */
  readonly where: string;
  /** Where it stands for the compiler: beside its page, so that it resolves packages as this repository's programs do. */
  readonly fileName: string;
  readonly code: string;
  /** Marked "ts run": it ends by itself, on the in-process backend. */
  readonly runs: boolean;
}

function blocksOf(page: string): Block[] {
  const fences = readFileSync(join(root, page), "utf8").matchAll(/^```ts( run)?\n(.*?)^```$/gms);
  return [...fences].map((fence) => {
    const line = fence.input.slice(0, fence.index).split("\n").length;
    const fileName = join(root, `${page.replaceAll(/\W/g, "-")}-${line}.ts`);
    return { where: `${page}:${line}`, fileName, code: fence[2] ?? "", runs: fence[1] !== undefined };
  });
}

const pages = ["README.md", "SECURITY.md", ...globSync("{docs,packages/*}/*.md", { cwd: root })].filter(
  (page) => !page.endsWith("CHANGELOG.md"),
);
const blocks = pages.flatMap(blocksOf);

/** The options of this repository, but for its tidiness: an example may leave what it declares unused. */
function compilerOptions(): ts.CompilerOptions {
  const base = ts.readConfigFile(join(root, "tsconfig.base.json"), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(base.config, ts.sys, root);
  const moduleDetection = ts.ModuleDetectionKind.Force;
  return {
    ...options,
    moduleDetection,
    skipLibCheck: true,
    noUnusedLocals: false,
    noUnusedParameters: false,
  };
}

test("every ts block of the documentation compiles", () => {
  const options = compilerOptions();
  const virtual = new Map(blocks.map((block) => [block.fileName, block]));
  const host = ts.createCompilerHost(options);
  const onDisk = { ...host };
  host.fileExists = (name) => virtual.has(name) || onDisk.fileExists(name);
  host.readFile = (name) => virtual.get(name)?.code ?? onDisk.readFile(name);
  host.getSourceFile = (name, language, ...rest) => {
    const code = virtual.get(name)?.code;
    if (code === undefined) return onDisk.getSourceFile(name, language, ...rest);
    return ts.createSourceFile(name, code, language);
  };
  const program = ts.createProgram([...virtual.keys()], options, host);
  const complaints = [...virtual].flatMap(([fileName, { where }]) => {
    const source = program.getSourceFile(fileName);
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)].map(
      ({ messageText }) => `${where}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`,
    );
  });
  expect(complaints).toEqual([]);
  expect(blocks.length).toBeGreaterThan(5);
});

const runnable = blocks.filter(({ runs }) => runs);

test.each(runnable.map((block) => [block.where, block] as const))("%s runs", async (_, { code }) => {
  // Down to what the oldest supported Node reads: "await using" is newer.
  const target = ts.ScriptTarget.ES2022;
  const { outputText } = ts.transpileModule(code, {
    compilerOptions: { target, module: ts.ModuleKind.ESNext },
  });
  const args = ["--conditions=@leasehold/source", "--input-type=module", "--eval", outputText];
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...compileCache, NODE_NO_WARNINGS: "1" },
    stdio: ["ignore", "ignore", "pipe"],
    timeout: 120_000,
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  const [exitCode] = (await once(child, "close")) as [number | null];
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
});

test("every link from one page to a file of this repository leads somewhere", () => {
  const broken = pages.flatMap((page) => {
    const links = readFileSync(join(root, page), "utf8").matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g);
    const targets = [...links].map(([, target = ""]) => target);
    return targets
      .filter(
        (target) =>
          !ts.sys.fileExists(join(root, page, "..", target)) &&
          !ts.sys.directoryExists(join(root, page, "..", target)),
      )
      .map((target) => `${page}: ${target}`);
  });
  expect(broken).toEqual([]);
});

test("every test that a page names exists: files, and titles in “these quotes”", () => {
  const tests = globSync(["test/**/*.ts", "packages/*/src/**/*.ts"], {
    cwd: root,
    exclude: ["**/node_modules/**"],
  });
  const sources = tests.map((path) => readFileSync(join(root, path), "utf8")).join("\n");
  const missing = pages.flatMap((page) => {
    const text = readFileSync(join(root, page), "utf8");
    const files = [...text.matchAll(/`((?:test|packages)\/[\w./-]+\.ts)`/g)].map(([, path = ""]) => path);
    const titles = [...text.matchAll(/“([^”]+)”/g)].map(([, title = ""]) => title);
    return [
      ...files.filter((path) => !ts.sys.fileExists(join(root, path))),
      ...titles.filter((title) => !sources.includes(title)),
    ].map((name) => `${page}: ${name}`);
  });
  expect(missing).toEqual([]);
});
