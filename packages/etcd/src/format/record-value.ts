import { isUtf8 } from "node:buffer";

export type RecordState = "in-progress" | "completed" | "failed" | "released";

/** What a record's value in the store holds. */
export interface RecordValue {
  readonly state: RecordState;
  /** Whose execution it is, or was. */
  readonly owner: string;
  /**
   * The token of the execution that has ended; null while it is in progress: then its own revision
   * is the token.
   */
  readonly token: bigint | null;
  readonly attempt: number;
  readonly fingerprint: string;
  readonly body: string | null;
}

/** What an owner's key holds. */
export interface OwnerValue {
  readonly owner: string;
  /** The ttl of the lease that it is on. */
  readonly leaseMs: number;
}

/** Before everything else, so that records of another format are known as such. */
const version = "1";
const recordHead =
  /^1:(in-progress|completed|failed|released):([0-9A-Fa-f]{1,64}):([0-9]{1,19}):([1-9][0-9]{0,14}):([0-9A-Fa-f]{1,128}):([+-])/;
const ownerValue = /^1:([0-9A-Fa-f]{1,64}):([1-9][0-9]{0,14})$/;
/** No head is longer. */
const longestHead = 320;

/**
 * `1:<state>:<owner>:<token>:<attempt>:<fingerprint>:`, then `+` and the body, or `-` for none. The
 * body is as it came. It is never parsed here, so no depth, name or number in it can do anything.
 */
export function encodeRecordValue({ state, owner, token, attempt, fingerprint, body }: RecordValue): Buffer {
  const head = `${version}:${state}:${owner}:${token ?? 0n}:${attempt}:${fingerprint}:`;
  return Buffer.from(body === null ? `${head}-` : `${head}+${body}`);
}

/** Undefined for anything that `encodeRecordValue` cannot have made. */
export function decodeRecordValue(bytes: Buffer): RecordValue | undefined {
  const match = recordHead.exec(bytes.toString("latin1", 0, longestHead));
  if (match === null) return undefined;
  const [{ length }, state = "", owner = "", digits = "", attempt, fingerprint = "", mark] = match;
  const rest = bytes.subarray(length);
  if (mark === "-" ? rest.length > 0 : !isUtf8(rest)) return undefined;
  const token = BigInt(digits);
  if ((state === "in-progress") !== (token === 0n)) return undefined;
  return {
    state: state as RecordState,
    ...{ owner, fingerprint, attempt: Number(attempt) },
    token: token === 0n ? null : token,
    body: mark === "-" ? null : rest.toString("utf8"),
  };
}

/** `1:<owner>:<lease, in ms>`. */
export function encodeOwnerValue({ owner, leaseMs }: OwnerValue): Buffer {
  return Buffer.from(`${version}:${owner}:${leaseMs}`);
}

/** Undefined for anything that `encodeOwnerValue` cannot have made. */
export function decodeOwnerValue(bytes: Buffer): OwnerValue | undefined {
  const match = ownerValue.exec(bytes.toString("latin1", 0, longestHead));
  return match === null ? undefined : { owner: match[1] ?? "", leaseMs: Number(match[2]) };
}
