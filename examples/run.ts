import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const here = import.meta.dirname;

/** Every example by its name: a file, or a folder with a main.ts. */
function findExamples(): Map<string, string> {
  const examples = new Map<string, string>();
  for (const entry of readdirSync(here, { withFileTypes: true })) {
    const main = join(here, entry.name, "main.ts");
    if (entry.isDirectory() && existsSync(main)) examples.set(entry.name, main);
    else if (entry.name.endsWith(".ts") && entry.name !== "run.ts")
      examples.set(entry.name.slice(0, -".ts".length), join(here, entry.name));
  }
  return new Map([...examples].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const examples = findExamples();
const list = `./pnpmw example NAME [OPTIONS], where NAME is one of:\n\n  ${[...examples.keys()].join("\n  ")}`;
const [name, ...options] = process.argv.slice(2);
const file = name === undefined ? undefined : examples.get(name);

if (name === undefined || name === "--help" || name === "-h") console.log(list);
else if (file === undefined) {
  console.error(`There is no example "${name}".\n\n${list}`);
  process.exitCode = 2;
} else {
  // As if it had been started by itself.
  process.argv.splice(1, process.argv.length - 1, file, ...options);
  await import(pathToFileURL(file).href);
}
