import { createHash } from "node:crypto";
import { isDate } from "node:util/types";

import { invalidArgument } from "../errors.ts";

/** A deeper payload is refused, before the stack overflows. */
const deepest = 200;

/**
 * What a payload is recognised by: a SHA-256 in hexadecimal. It is that of the payload's bytes (of
 * the UTF-8 of a string), or of its canonical JSON, in which the order of an object's members does
 * not matter (as in RFC 8785, the JSON Canonicalization Scheme). `undefined` has one, too.
 *
 * Throws `INVALID_ARGUMENT` for what JSON cannot express: a cycle, NaN, a bigint, a function.
 *
 * @example
 * fingerprintOf({ amount: 5, to: "a" }) === fingerprintOf({ to: "a", amount: 5 }); // true
 */
export function fingerprintOf(payload: unknown): string {
  const hash = createHash("sha256");
  if (payload === undefined) return hash.update("none").digest("hex");
  if (typeof payload === "string" || payload instanceof Uint8Array)
    return hash.update("bytes\0").update(payload).digest("hex");
  return hash.update("json\0").update(canonicalJson(payload, 0)).digest("hex");
}

function canonicalJson(value: unknown, depth: number): string {
  if (depth > deepest)
    throw invalidArgument(`fingerprint must not be nested deeper than ${deepest}, nor contain itself.`);
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (isDate(value) && !Number.isNaN(value.getTime())) return JSON.stringify(value);
  if (Array.isArray(value))
    return `[${value.map((item) => canonicalJson(item ?? null, depth + 1)).join(",")}]`;
  if (typeof value !== "object" || isDate(value))
    throw invalidArgument(
      `fingerprint must be bytes, a string, or what JSON can express; it contains ${typeof value === "number" ? String(value) : `a ${typeof value}`}.`,
    );
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member, depth + 1)}`);
  return `{${members.join(",")}}`;
}
