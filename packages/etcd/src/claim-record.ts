/** What a claim's value in the store holds: whose it is, and what `inspect` shows of it. */
export interface ClaimRecord {
  readonly owner: string;
  readonly value: string;
}

const ownerAtFront = /^([0-9A-Fa-f]+):/;

export function encodeRecord({ owner, value }: ClaimRecord): Buffer {
  return Buffer.from(`${owner}:${value}`);
}

/** Undefined for anything that `encodeRecord` cannot have made. */
export function decodeRecord(bytes: Buffer): ClaimRecord | undefined {
  const text = bytes.toString("utf8");
  const owner = ownerAtFront.exec(text)?.[1];
  return owner === undefined ? undefined : { owner, value: text.slice(owner.length + 1) };
}
