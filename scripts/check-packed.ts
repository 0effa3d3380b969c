import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { workspacePackages, type Manifest, type Package } from "./packages.ts";
import { CommandFailed, run } from "./run.ts";

/**
 * Packs every package as publishing would and looks at the tarball with publint, attw and our own
 * rules: what users get is the tarball, whose exports differ from those that this repository uses.
 *
 * @throws CommandFailed with all complaints
 */
export async function checkPacked(): Promise<void> {
  // All of them are waited for, so that a failure of one leaves no folder of another behind.
  const outcomes = await Promise.allSettled(workspacePackages().map(checkOne));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function checkOne({ name, folder }: Package): Promise<void> {
  const target = await mkdtemp(join(tmpdir(), "leasehold-pack-"));
  try {
    await run("pnpm", ["pack", "--pack-destination", target], folder);
    const [file] = await readdir(target);
    if (file === undefined) throw new CommandFailed(`"pnpm pack" wrote no tarball for ${name}`, "");
    const tarball = join(target, file);
    await run("publint", [tarball, "--strict"]);
    // A CommonJS program can require() these packages on every Node that they support; TypeScript
    // can say so since 5.8.
    await run("attw", [tarball, "--ignore-rules", "cjs-resolves-to-esm", "--no-emoji"]);
    await checkContents(name, tarball);
  } finally {
    await rm(target, { recursive: true, force: true });
  }
}

async function checkContents(name: string, tarball: string): Promise<void> {
  const files = (await run("tar", ["-tzf", tarball])).split("\n");
  const manifest = JSON.parse(await run("tar", ["-xzOf", tarball, "package/package.json"])) as Manifest;
  const complaints: string[] = [];
  for (const needed of [
    "package/LICENSE",
    "package/README.md",
    "package/dist/index.js",
    "package/dist/index.d.ts",
  ]) {
    if (!files.includes(needed)) complaints.push(`${needed} is missing`);
  }
  for (const file of files.filter((path) => /^package\/(?:src|mutants|node_modules)\/|\.test\./.test(path))) {
    complaints.push(`${file} should not be published`);
  }
  for (const [subpath, conditions] of Object.entries(manifest.exports)) {
    if ("@leasehold/source" in conditions)
      complaints.push(`exports["${subpath}"] points at sources that are not published`);
  }
  for (const [dependency, range] of Object.entries({
    ...manifest.dependencies,
    ...manifest.peerDependencies,
  })) {
    if (range.startsWith("workspace:")) complaints.push(`${dependency} has the range ${range}`);
  }
  if (name === "@leasehold/core" && manifest.dependencies !== undefined)
    complaints.push("core has runtime dependencies");
  if (complaints.length > 0)
    throw new CommandFailed(`the tarball of ${name} is not fit to publish`, complaints.join("\n"));
}
