import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const here = import.meta.dirname;
const demos = join(here, "..", "demos");

const names = readdirSync(here)
  .filter((file) => file.endsWith(".ts") && file !== "run.ts")
  .map((file) => file.slice(0, -".ts".length))
  .sort();
const list = `./pnpmw example NAME, where NAME is one of:\n\n  ${names.join("\n  ")}`;
const [name, ...options] = process.argv.slice(2);

if (name === undefined || name === "--help" || name === "-h") console.log(list);
else if (names.includes(name)) await start(join(here, `${name}.ts`), options);
// What takes longer to read is a demo, and is found here, too.
else if (existsSync(join(demos, name, "main.ts"))) await start(join(demos, "run.ts"), [name, ...options]);
else {
  console.error(`There is no example "${name}".\n\n${list}\n\n"./pnpmw demo --help" lists the demos.`);
  process.exitCode = 2;
}

/** As if it had been started by itself. */
async function start(file: string, args: readonly string[]): Promise<void> {
  process.argv.splice(1, process.argv.length - 1, file, ...args);
  await import(pathToFileURL(file).href);
}
