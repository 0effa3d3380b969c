import { encodeName } from "@leasehold/core";
import { range, type KeyRange } from "./claim-keys.ts";

/**
 * Where records are kept: `<prefix>/~idem/<record>/r` says what has become of it, and `.../o`,
 * while somebody executes it, who. The record's name is encoded, so it holds no `/`, and no `~`
 * either: a record meets neither another one, nor a claim, nor a fence.
 */
export class RecordKeys {
  readonly #stem: string;
  readonly #latin1Stem: string;

  constructor(prefix: string) {
    this.#stem = `${prefix}/~idem/`;
    // Byte for byte, as lists of keys are read.
    this.#latin1Stem = Buffer.from(this.#stem).toString("latin1");
  }

  record(name: string): Buffer {
    return Buffer.from(`${this.#stem}${encodeName(name)}/r`);
  }

  owner(name: string): Buffer {
    return Buffer.from(`${this.#stem}${encodeName(name)}/o`);
  }

  /** Both keys. `0` is the successor of `/`. */
  both(name: string): KeyRange {
    const stem = `${this.#stem}${encodeName(name)}`;
    return range(`${stem}/`, `${stem}0`);
  }

  /** The record's key, if `text`, a key as latin1, is that of an owner. */
  recordOf(text: string): Buffer | undefined {
    if (!text.startsWith(this.#latin1Stem) || !text.endsWith("/o")) return undefined;
    return Buffer.from(`${text.slice(0, -1)}r`, "latin1");
  }
}
