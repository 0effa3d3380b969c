import { hostname } from "node:os";

import { maxValueBytes } from "../base/arguments.ts";
import { invalidArgument } from "../errors.ts";

/** What a caller attaches to a claim, for people who inspect the line: a flat record of text. */
export type Metadata = Readonly<Record<string, string>>;

/** Who made a claim, by its own account. Whoever can write to the store can write this. */
export interface ClaimOrigin {
  readonly host: string;
  readonly pid: number;
  /** The coordinator's label, if it has one. */
  readonly label: string | null;
  /** When the claim was asked for: milliseconds since the epoch, by the wall clock of that host. */
  readonly sinceMs: number;
  readonly metadata: Metadata;
  /** Of an election: who stands. */
  readonly candidate: string | null;
  /** Of an election or a membership: what others read of it. */
  readonly value: string | null;
}

/** What a claim says of itself, before host and pid are added. */
export interface ClaimContent {
  readonly sinceMs: number;
  readonly label?: string | undefined;
  readonly metadata?: Metadata | undefined;
  readonly candidate?: string | undefined;
  readonly value?: string | undefined;
}

const version = 1;
const host = hostname();

/**
 * The text stored with a claim. Throws `INVALID_ARGUMENT` when the metadata is not a flat record of
 * text, or when all of it is too large.
 */
export function encodeClaimValue(content: ClaimContent): string {
  const { sinceMs, label, metadata, candidate, value } = content;
  for (const [key, text] of Object.entries(metadata ?? {}))
    if (typeof text !== "string") throw invalidArgument(`metadata.${key.slice(0, 40)} must be a string.`);
  const text = JSON.stringify({
    v: version,
    host,
    pid: process.pid,
    since: Math.floor(sinceMs),
    label,
    meta: metadata,
    candidate,
    value,
  });
  const bytes = Buffer.byteLength(text);
  if (bytes > maxValueBytes)
    throw invalidArgument(
      `value and metadata must fit in ${maxValueBytes} bytes, with host and pid; got ${bytes}. ` +
        `Store large things elsewhere, and put their address here.`,
    );
  return text;
}

/**
 * Reads a stored value back. What comes from a store is untrusted: the result is null for anything
 * that `encodeClaimValue` does not write. The metadata has no prototype that could be polluted.
 */
export function decodeClaimValue(text: string): ClaimOrigin | null {
  if (text.length > maxValueBytes) return null;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(parsed) || parsed["v"] !== version) return null;
  const { host: origin, pid, since, meta = {} } = parsed;
  if (typeof origin !== "string" || !isCount(pid) || !isCount(since) || !isRecord(meta)) return null;
  const metadata = Object.create(null) as Record<string, string>;
  for (const [key, value] of Object.entries(meta)) {
    if (typeof value !== "string") return null;
    metadata[key] = value;
  }
  const [label, candidate, value] = [parsed["label"], parsed["candidate"], parsed["value"]].map(optionalText);
  if (label === undefined || candidate === undefined || value === undefined) return null;
  return { host: origin, pid, sinceMs: since, label, metadata, candidate, value };
}

/** Null: absent. Undefined: not a text. */
function optionalText(value: unknown): string | null | undefined {
  if (value === undefined) return null;
  return typeof value === "string" ? value : undefined;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
