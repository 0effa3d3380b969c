import { encodeName } from "@leasehold/core";

/** Keys from `key` up to, not including, `range_end`, as etcd names them. */
export interface KeyRange {
  readonly key: Buffer;
  readonly range_end: Buffer;
}

/** What a claim's key says. */
export interface ClaimKey {
  /** The resource, encoded. */
  readonly name: string;
  readonly capacity: number;
  readonly owner: string;
  readonly weight: number;
}

const largest = 2 ** 31 - 1;
const keyTail = /^([A-Za-z0-9._:%-]*)\/([1-9][0-9]{0,9})\/([0-9A-Fa-f]{1,64})-([1-9][0-9]{0,9})$/;

/**
 * Where claims are kept: one key per claim, `<prefix>/<resource>/<capacity>/<owner>-<weight>`.
 *
 * - The resource is encoded, so it holds no `/`, and every range ends right after one: `a` never reaches into `ab`.
 * - The capacity is a level of its own, so two range compares, below and above it, refuse another shape atomically.
 * - The owner comes first in the last segment, so one range compare, or one delete, speaks of "whatever this owner has
 *   here", without knowing its weight or ticket. It is drawn for one acquire call (rule R1), so nobody else is meant.
 * - The lease is not in the name: etcd tells it with every key, and a repeated acquire must find the claim of the first try
 *   whatever lease that one was on.
 * - Ticket and token are the key's create revision.
 */
export class ClaimKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = `${prefix}/`;
  }

  /** The claim's own key. */
  claim(resource: string, capacity: number, owner: string, weight: number): Buffer {
    return Buffer.from(`${this.#prefix}${encodeName(resource)}/${capacity}/${owner}-${weight}`);
  }

  /** Whatever the owner has in the line of this capacity. `.` is the successor of `-`. */
  own(resource: string, capacity: number, owner: string): KeyRange {
    const stem = `${this.#prefix}${encodeName(resource)}/${capacity}/${owner}`;
    return range(`${stem}-`, `${stem}.`);
  }

  /** Every claim on the resource, of any capacity. `0` is the successor of `/`. */
  resource(resource: string): KeyRange {
    const stem = `${this.#prefix}${encodeName(resource)}`;
    return range(`${stem}/`, `${stem}0`);
  }

  /** The line: every claim on the resource with this capacity. */
  line(resource: string, capacity: number): KeyRange {
    const stem = `${this.#prefix}${encodeName(resource)}/${capacity}`;
    return range(`${stem}/`, `${stem}0`);
  }

  /** What is on the resource under any other capacity: before and behind `line`. */
  otherLines(resource: string, capacity: number): readonly [KeyRange, KeyRange] {
    const stem = `${this.#prefix}${encodeName(resource)}`;
    return [range(`${stem}/`, `${stem}/${capacity}/`), range(`${stem}/${capacity}0`, `${stem}0`)];
  }

  /** Reads a key back; undefined for anything that `claim` cannot have written. */
  parse(key: Buffer): ClaimKey | undefined {
    const text = key.toString("latin1");
    if (!text.startsWith(this.#latin1Prefix)) return undefined;
    const match = keyTail.exec(text.slice(this.#latin1Prefix.length));
    if (match === null) return undefined;
    const [name = "", capacity, owner = "", weight] = match.slice(1);
    const claim = { name, capacity: Number(capacity), owner, weight: Number(weight) };
    return claim.capacity <= largest && claim.weight <= claim.capacity ? claim : undefined;
  }

  /** Byte for byte, so that a prefix outside ASCII compares as etcd compares it. */
  get #latin1Prefix(): string {
    return Buffer.from(this.#prefix).toString("latin1");
  }
}

/** The name that `encodeName` made this of. */
export function decodeName(encoded: string): string {
  return encoded.replace(/%([0-9a-f]{4})/g, (_, unit: string) => String.fromCharCode(Number.parseInt(unit, 16)));
}

function range(from: string, to: string): KeyRange {
  return { key: Buffer.from(from), range_end: Buffer.from(to) };
}
