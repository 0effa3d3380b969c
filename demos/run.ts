import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const here = import.meta.dirname;
const standard = "account";

const names = readdirSync(here)
  .filter((name) => existsSync(join(here, name, "main.ts")))
  .sort();
const list = `./pnpmw demo [NAME] [OPTIONS], where NAME is one of:

  ${names.map((name) => (name === standard ? `${name} (the default)` : name)).join("\n  ")}

./pnpmw demo NAME --help says more of each.`;

const args = process.argv.slice(2);
const isNamed = args[0] !== undefined && !args[0].startsWith("-");
const name = isNamed ? (args.shift() ?? standard) : standard;

if (!names.includes(name)) {
  console.error(`There is no demo "${name}".\n\n${list}`);
  process.exitCode = 2;
} else {
  if (!isNamed && (args.includes("--help") || args.includes("-h"))) console.log(`${list}\n`);
  // As if it had been started by itself.
  const main = join(here, name, "main.ts");
  process.argv.splice(1, process.argv.length - 1, main, ...args);
  await import(pathToFileURL(main).href);
}
