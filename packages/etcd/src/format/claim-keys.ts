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
  readonly weight: number;
}

const largest = 2 ** 31 - 1;
const keyTail = /^([A-Za-z0-9._:%-]*)\/([1-9][0-9]{0,9})\/([1-9][0-9]{0,9})\/[0-9a-f]{16}-[0-9]{1,15}$/;

/**
 * Where claims are kept: one key per claim,
 * `<prefix>/<resource>/<capacity>/<weight>/<process>-<slot>`.
 *
 * - The resource is encoded, so it holds no `/`, and every range ends right after one: `a` never
 *   reaches into `ab`.
 * - The capacity is a level of its own, so two range compares, below and above it, refuse another
 *   shape atomically.
 * - The weight is in the key, so that a line can be added up without reading values. It is a level
 *   of its own, so that those of one weight are a range, which etcd counts without sending them
 *   (see `LineSums`).
 * - A process uses its key names again (see `Slots`). A name per claim, with the owner in it, would
 *   cost every later transaction on that line: etcd keeps deleted names in its index until a
 *   compaction, and looks at each of them in every range (0.4 ms for an acquire became 4 ms after
 *   15,000 claims on one name). So the owner is in the value.
 * - The lease is not in the name: etcd tells it with every key, and a repeated acquire must find
 *   the claim of the first try whatever lease that one was on.
 * - Ticket and token are the key's create revision. A name says where a claim is, its create
 *   revision which one it is.
 */
export class ClaimKeys {
  readonly #prefix: string;
  readonly #latin1Prefix: string;
  readonly #process: string;

  /** `process`: 16 hexadecimal digits, drawn for this backend. */
  constructor(prefix: string, process: string) {
    this.#prefix = `${prefix}/`;
    this.#process = process;
    // Byte for byte, so that a prefix outside ASCII compares as etcd compares it.
    this.#latin1Prefix = Buffer.from(this.#prefix).toString("latin1");
  }

  /** A key of this process's own. */
  claim(resource: string, capacity: number, weight: number, slot: number): Buffer {
    const line = `${this.#prefix}${encodeName(resource)}/${capacity}`;
    return Buffer.from(`${line}/${weight}/${this.#process}-${slot}`);
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

  /**
   * The line in pieces: `counted`, the claims of each of these weights, in the order given; and
   * `between`, all the rest. Together they cover `line`, and no key is in two of them.
   */
  pieces(
    resource: string,
    capacity: number,
    weights: readonly number[],
  ): { readonly counted: readonly KeyRange[]; readonly between: readonly KeyRange[] } {
    const stem = `${this.#prefix}${encodeName(resource)}/${capacity}`;
    const cuts = weights.map((weight) => [`${stem}/${weight}/`, `${stem}/${weight}0`] as const);
    const inOrder = cuts.toSorted(([a], [b]) => (a < b ? -1 : 1));
    const froms = [`${stem}/`, ...inOrder.map(([, to]) => to)];
    const tos = [...inOrder.map(([from]) => from), `${stem}0`];
    return {
      counted: cuts.map(([from, to]) => range(from, to)),
      between: froms.map((from, index) => range(from, tos[index] ?? "")),
    };
  }

  /** What is on the resource under any other capacity: before and behind `line`. */
  otherLines(resource: string, capacity: number): readonly [KeyRange, KeyRange] {
    const stem = `${this.#prefix}${encodeName(resource)}`;
    return [range(`${stem}/`, `${stem}/${capacity}/`), range(`${stem}/${capacity}0`, `${stem}0`)];
  }

  /**
   * Reads a key back; undefined for anything that `claim`, here or in another process, cannot have
   * made.
   */
  parse(key: Buffer): ClaimKey | undefined {
    const text = key.toString("latin1");
    if (!text.startsWith(this.#latin1Prefix)) return undefined;
    const match = keyTail.exec(text.slice(this.#latin1Prefix.length));
    if (match === null) return undefined;
    const [name = "", capacity, weight] = match.slice(1);
    const claim = { name, capacity: Number(capacity), weight: Number(weight) };
    return claim.capacity <= largest && claim.weight <= claim.capacity ? claim : undefined;
  }
}

/** From `from` up to, not including, `to`. */
export function range(from: string, to: string): KeyRange {
  return { key: Buffer.from(from), range_end: Buffer.from(to) };
}
