import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The repository's root folder. */
export const root: string = join(import.meta.dirname, "..");

/** A package of this workspace. */
export interface Package {
  readonly name: string;
  readonly folder: string;
  readonly manifest: Manifest;
}

/** What the scripts read of a package.json. */
export interface Manifest {
  readonly name: string;
  readonly exports: Record<string, Record<string, string>>;
  readonly dependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}

/** All packages of this workspace, by folder name. */
export function workspacePackages(): Package[] {
  return readdirSync(join(root, "packages"))
    .sort()
    .map((name) => {
      const folder = join(root, "packages", name);
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
      return { name: manifest.name, folder, manifest };
    });
}
