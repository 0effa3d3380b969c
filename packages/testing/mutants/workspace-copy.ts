import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

/** What tests read of the workspace, apart from its packages. */
const files = /\.(json|ts|yaml)$/;
/** Third-party packages are shared by links; caches of the original are not. */
const sharedHiddenEntries = new Set([".bin", ".pnpm"]);

/**
 * A copy of the workspace, to be broken. The `@leasehold/*` packages resolve into the copy: pnpm
 * links them relative to the workspace, and the links are copied as they are. All else of
 * node_modules is linked to the original.
 */
export class WorkspaceCopy implements Disposable {
  readonly folder: string;
  /** For temporary files of what runs in the copy: removed along with it. */
  readonly tempFolder: string;

  constructor(original: string) {
    // The real path: Vite compares paths, and on some systems the temporary folder is behind a
    // link.
    this.folder = mkdtempSync(join(realpathSync(tmpdir()), "leasehold-mutants-"));
    this.tempFolder = join(this.folder, "tmp");
    mkdirSync(this.tempFolder);
    for (const entry of readdirSync(original, { withFileTypes: true })) {
      const wanted = entry.isFile() ? files.test(entry.name) : ["packages", "test"].includes(entry.name);
      if (wanted) copy(join(original, entry.name), join(this.folder, entry.name));
    }
    const [from, to] = [join(original, "node_modules"), join(this.folder, "node_modules")];
    mkdirSync(to);
    for (const entry of readdirSync(from)) {
      if (entry === "@leasehold") copy(join(from, entry), join(to, entry));
      else if (!entry.startsWith(".") || sharedHiddenEntries.has(entry))
        symlinkSync(join(from, entry), join(to, entry));
    }
  }

  /** Throws, with what git says, if the patch does not fit the sources any more. */
  apply(patch: string): void {
    this.#git(["apply", patch]);
  }

  /** Takes an applied patch back. */
  revert(patch: string): void {
    this.#git(["apply", "--reverse", patch]);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /**
   * In a repository around the temporary folder, git would silently leave out what is not in it: it
   * must find none.
   */
  #git(args: readonly string[]): void {
    const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(this.folder) };
    execFileSync("git", args, { cwd: this.folder, env, stdio: ["ignore", "ignore", "pipe"] });
  }
}

function copy(from: string, to: string): void {
  const filter = (path: string): boolean => basename(path) !== "dist";
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, filter });
}
