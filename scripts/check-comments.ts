import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { root } from "./packages.ts";
import { CommandFailed, run } from "./run.ts";

/** Comments are read more often than code, and in narrower windows: beside a diff, in a hover. */
const maxColumns = 100;

const mayBeComment = /\/\/|\/\*|^\s*\*/;

/**
 * Finds every line of a comment, in every tracked `*.ts`, that ends beyond column 100. A URL that
 * has its line to itself is exempt, since it cannot be broken.
 */
export async function longComments(): Promise<string[]> {
  const listed = await run("git", ["ls-files", "-z", "*.ts"]);
  return listed
    .split("\0")
    .flatMap((path) => (path !== "" && existsSync(join(root, path)) ? longCommentsOf(path) : []));
}

/** @throws CommandFailed with all of them */
export async function checkComments(): Promise<void> {
  const found = await longComments();
  if (found.length > 0)
    throw new CommandFailed(`${found.length} lines of comments are too long`, found.join("\n"));
}

function longCommentsOf(path: string): string[] {
  const text = readFileSync(join(root, path), "utf8");
  const lines = text.split("\n");
  const suspects = lines.flatMap((line, index) =>
    columns(line) > maxColumns && mayBeComment.test(line) ? [index] : [],
  );
  // Most files have none, and need no parsing.
  if (suspects.length === 0) return [];
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest);
  const commented = commentedLines(source);
  return suspects
    .filter((index) => commented.has(index) && !isBareUrl(lines[index] ?? ""))
    .map((index) => `${path}:${index + 1}: ${columns(lines[index] ?? "")} columns`);
}

/**
 * The lines, from 0, that end in a comment. Only a parser knows those in strings from real ones.
 */
function commentedLines(source: ts.SourceFile): Set<number> {
  const found = new Set<number>();
  const add = ({ pos, end }: ts.CommentRange): void => {
    const last = source.getLineAndCharacterOfPosition(end).line;
    for (let line = source.getLineAndCharacterOfPosition(pos).line; line <= last; line++) found.add(line);
  };
  const visit = (node: ts.Node): void => {
    ts.getLeadingCommentRanges(source.text, node.getFullStart())?.forEach(add);
    ts.getTrailingCommentRanges(source.text, node.getEnd())?.forEach(add);
    node.getChildren(source).forEach(visit);
  };
  visit(source);
  return found;
}

function isBareUrl(line: string): boolean {
  return /^\s*(?:\/\/|\/\*\*?|\*)\s*https?:\S+(?:\s*\*\/)?$/.test(line);
}

/** Characters, not UTF-16 units. */
function columns(line: string): number {
  return Array.from(line).length;
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes("--list")) console.log((await longComments()).join("\n"));
  else
    await checkComments().catch((error: unknown) => {
      if (!(error instanceof CommandFailed)) throw error;
      console.error(`${error.output}\n${error.message} (${maxColumns} columns)`);
      process.exitCode = 1;
    });
}
