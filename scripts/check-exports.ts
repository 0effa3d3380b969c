import { workspacePackages } from "./packages.ts";
import { CommandFailed, run } from "./run.ts";

/**
 * Imports each built entry point under plain Node, as a user's program would, and compares the
 * names it exports with those of its source.
 *
 * @throws CommandFailed naming the entry point that does not load or differs
 */
export async function checkExports(): Promise<void> {
  for (const { name, manifest } of workspacePackages()) {
    for (const subpath of Object.keys(manifest.exports)) {
      const specifier = name + subpath.slice(1);
      const [built, source] = await Promise.all([
        exportedNames(specifier, []),
        exportedNames(specifier, ["--conditions=@leasehold/source"]),
      ]);
      if (built !== source)
        throw new CommandFailed(
          `${specifier} exports other names built than from source`,
          `built:  ${built}\nsource: ${source}`,
        );
    }
  }
}

// The root package depends on all the others, so from its folder (where `run` starts programs) each
// name resolves.
async function exportedNames(specifier: string, flags: string[]): Promise<string> {
  const program = `console.log(Object.keys(await import(${JSON.stringify(specifier)})).sort().join(", "))`;
  return (await run(process.execPath, [...flags, "--input-type=module", "--eval", program])).trim();
}
