import { CommandFailed, run } from "./run.ts";
import { workspacePackages } from "./packages.ts";

/**
 * Builds every package into its dist. They need no order: each reads the others' sources, none the
 * others' dist.
 */
export async function build(): Promise<void> {
  await Promise.all(workspacePackages().map(({ folder }) => run("tsup", [], folder)));
}

if (process.argv[1] === import.meta.filename) {
  try {
    await build();
    console.log(
      `built ${workspacePackages()
        .map(({ name }) => name)
        .join(", ")}`,
    );
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    console.error(`${error.output}\n${error.message}`);
    process.exitCode = 1;
  }
}
