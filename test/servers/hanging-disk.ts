import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, mkdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { killOnExit } from "./kill-on-exit.ts";

const run = promisify(execFile);

/** A file system of its own that can be made to hang: whatever is written to it then waits. */
export class HangingDisk implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;
  readonly #forget: () => void;
  #hangs = false;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "mount");
    this.#forget = killOnExit(() => this.thaw());
  }

  /** Throws where this user may not mount a file. */
  static async make(): Promise<HangingDisk> {
    const folder = await mkdtemp(join(tmpdir(), "leasehold-disk-"));
    const image = join(folder, "image");
    const disk = new HangingDisk(folder);
    try {
      await mkdir(disk.path);
      await writeFile(image, "");
      await truncate(image, 300 * 2 ** 20);
      await run("mkfs.ext4", ["-q", image]);
      await run("mount", ["-o", "loop", image, disk.path]);
      return disk;
    } catch (error) {
      disk.#forget();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async hang(): Promise<void> {
    await run("fsfreeze", ["--freeze", this.path]);
    this.#hangs = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.thaw();
    this.#forget();
    // Whoever used it may take a moment to let go of it.
    await run("umount", ["--lazy", this.path]);
    await rm(this.#folder, { recursive: true, force: true });
  }

  thaw(): void {
    if (this.#hangs) execFileSync("fsfreeze", ["--unfreeze", this.path]);
    this.#hangs = false;
  }
}
