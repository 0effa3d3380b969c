/** What a claim's value in the store holds: whose it is, and what `inspect` shows of it. */
export interface ClaimRecord {
  readonly owner: string;
  /** Of the value; 0 for the one that the claim was acquired with. */
  readonly sequence: number;
  /** Can no longer be renewed. */
  readonly evicted: boolean;
  readonly value: string;
}

const head = /^([0-9A-Fa-f]+):([0-9]{16})(!?):/;

/** `<owner>:<sequence, 16 digits>[!]:<value>`; the `!` is the mark of an eviction. */
export function encodeRecord({ owner, sequence, evicted, value }: ClaimRecord): Buffer {
  return Buffer.from(`${recordFrom(owner, sequence)}${evicted ? "!" : ""}:${value}`);
}

/**
 * Every record of this owner with a lower sequence is less than this, byte for byte, and every
 * other of its records is greater: digits of a fixed width compare as the numbers do. So one
 * compare of a transaction keeps the highest sequence.
 */
export function recordFrom(owner: string, sequence: number): string {
  return `${owner}:${String(sequence).padStart(16, "0")}`;
}

/** Undefined for anything that `encodeRecord` cannot have made. */
export function decodeRecord(bytes: Buffer): ClaimRecord | undefined {
  const text = bytes.toString("utf8");
  const match = head.exec(text);
  if (match === null) return undefined;
  const [{ length }, owner = "", digits, mark] = match;
  const sequence = Number(digits);
  if (!Number.isSafeInteger(sequence)) return undefined;
  return { owner, sequence, evicted: mark === "!", value: text.slice(length) };
}
