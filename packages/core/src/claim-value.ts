import { hostname } from "node:os";

import { maxValueBytes } from "./arguments.ts";
import { invalidArgument } from "./errors.ts";

/** What a caller may attach to a claim, for people who inspect the line. Small, flat, text. */
export type Metadata = Readonly<Record<string, string>>;

/** Who made a claim, as it said so itself. Advisory: anybody who can write to the store can write this. */
export interface ClaimOrigin {
  readonly host: string;
  readonly pid: number;
  readonly metadata: Metadata;
}

const version = 1;
const host = hostname();

/** The text stored with a claim. Throws `INVALID_ARGUMENT` when the metadata is no flat record of text, or too large. */
export function encodeClaimValue(metadata: Metadata = {}): string {
  for (const [key, value] of Object.entries(metadata))
    if (typeof value !== "string") throw invalidArgument(`metadata.${key.slice(0, 40)} must be a string.`);
  const text = JSON.stringify({ v: version, host, pid: process.pid, meta: metadata });
  const bytes = Buffer.byteLength(text);
  if (bytes > maxValueBytes)
    throw invalidArgument(`metadata must fit in ${maxValueBytes} bytes with host and pid; got ${bytes}.`);
  return text;
}

/**
 * Reads a stored value back. What comes from a store is untrusted: anything that is not exactly what `encodeClaimValue`
 * writes yields null, and the record built from it has no prototype to pollute.
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
  const { host: origin, pid, meta } = parsed;
  if (typeof origin !== "string" || !Number.isSafeInteger(pid) || !isRecord(meta)) return null;
  const metadata = Object.create(null) as Record<string, string>;
  for (const [key, value] of Object.entries(meta)) {
    if (typeof value !== "string") return null;
    metadata[key] = value;
  }
  return { host: origin, pid: pid as number, metadata };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
