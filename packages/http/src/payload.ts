import { fingerprintOf, isLeaseholdError } from "@leasehold/core";

/**
 * What a body is compared by, whether it was parsed already or is still bytes. A body that says it
 * is JSON is compared as JSON: neither white space nor the order of members makes a difference. Any
 * other body is compared as bytes.
 */
export function comparable(body: unknown, contentType: string | null): unknown {
  if (body === undefined || body === null) return { kind: "none" };
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  if (!(bytes instanceof Uint8Array))
    return { kind: "json", of: isJson(contentType) ? ofJson(body) : fingerprintOf(body) };
  if (bytes.length === 0) return { kind: "none" };
  const json = isJson(contentType) ? parse(bytes) : undefined;
  return json === undefined
    ? { kind: "bytes", of: fingerprintOf(bytes) }
    : { kind: "json", of: ofJson(json) };
}

function isJson(contentType: string | null): boolean {
  return /^\s*[\w.+-]+\/([\w.-]+\+)?json\s*(;|$)/i.test(contentType ?? "");
}

/** Undefined: the body is no JSON, whatever it says. The handler may refuse that; we do not. */
function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/**
 * JSON that is nested too deeply for the canonical form is compared in the order in which it came,
 * and beyond that not at all (`RangeError`). What a client sends must not end in an error of ours.
 */
function ofJson(value: unknown): string {
  try {
    return fingerprintOf(value);
  } catch (error) {
    if (!isLeaseholdError(error, "INVALID_ARGUMENT")) throw error;
    return fingerprintOf(JSON.stringify(value));
  }
}
