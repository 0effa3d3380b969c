import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";

import { compileCache } from "./compile-cache.ts";

const root = join(import.meta.dirname, "..");

function textOf(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

function exists(path: string): boolean {
  return existsSync(join(root, path));
}

interface Block {
  /** `README.md:31`: the line of its fence. */
  readonly where: string;
  /**
   * Where it stands for the compiler: beside its page, so that it resolves packages as this
   * repository's programs do.
   */
  readonly fileName: string;
  readonly code: string;
  /** Marked "ts run": it ends by itself, on the in-process backend. */
  readonly runs: boolean;
}

function blocksOf(page: string): Block[] {
  const fences = textOf(page).matchAll(/^```ts( run)?\n(.*?)^```$/gms);
  return [...fences].map((fence) => {
    const line = fence.input.slice(0, fence.index).split("\n").length;
    const fileName = join(root, `${page.replaceAll(/\W/g, "-")}-${line}.ts`);
    return { where: `${page}:${line}`, fileName, code: fence[2] ?? "", runs: fence[1] !== undefined };
  });
}

const pages = globSync(["*.md", "docs/**/*.md", "packages/*/*.md"], { cwd: root }).filter(
  (page) => !page.endsWith("CHANGELOG.md"),
);
const blocks = pages.flatMap(blocksOf);

/**
 * The options of this repository, but for its tidiness: an example may leave what it declares
 * unused.
 */
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

test("every link from one page to a file of this repository leads somewhere, its anchor too", () => {
  const broken = pages.flatMap((page) => {
    const links = textOf(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g);
    return [...links]
      .filter(([, target = "", anchor]) => {
        const path = join(page, target === "" ? "" : join("..", target));
        if (!exists(path)) return true;
        return anchor !== undefined && path.endsWith(".md") && !anchorsOf(path).has(anchor);
      })
      .map(([link]) => `${page}: ${link}`);
  });
  expect(broken).toEqual([]);
});

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): Set<string> {
  const headings = textOf(page).matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

test("every path that the map and the decisions name exists: as it is, or below the sources of a package", () => {
  const maps = [
    "docs/architecture.md",
    "docs/rules.md",
    "CONTRIBUTING.md",
    ...globSync("docs/adr/*.md", { cwd: root }),
  ];
  const missing = maps.flatMap((page) =>
    [...textOf(page).matchAll(/`([\w.-]+(?:\/[\w.-]+)+\/?)`/g)]
      .map(([, path = ""]) => path)
      .filter((path) => !exists(path) && !exists(path.replace(/^([\w-]+)\//, "packages/$1/src/")))
      .map((path) => `${page}: ${path}`),
  );
  expect(missing).toEqual([]);
});

test("no table of a page is wider than 120 characters in its source", () => {
  const wide = pages.flatMap((page) =>
    textOf(page)
      .split("\n")
      .flatMap((line, index) => (/^\s*\|/.test(line) && line.length > 120 ? [`${page}:${index + 1}`] : [])),
  );
  expect(wide).toEqual([]);
});

test("every test that a page names exists: files, and titles in “these quotes”", () => {
  const tests = globSync(["test/**/*.ts", "packages/*/src/**/*.ts"], {
    cwd: root,
    exclude: ["**/node_modules/**"],
  });
  const sources = tests.map((path) => readFileSync(join(root, path), "utf8")).join("\n");
  const missing = pages.flatMap((page) => {
    // A title may be wrapped.
    const text = textOf(page).replaceAll(/\s+/g, " ");
    const files = [...text.matchAll(/`((?:test|packages)\/[\w./-]+\.ts)`/g)].map(([, path = ""]) => path);
    const titles = [...text.matchAll(/“([^”]+)”/g)].map(([, title = ""]) => title);
    return [
      ...files.filter((path) => !exists(path)),
      ...titles.filter((title) => !sources.includes(title)),
    ].map((name) => `${page}: ${name}`);
  });
  expect(missing).toEqual([]);
});
