import { fingerprintOf, isLeaseholdError } from "@leasehold/core";

/**
 * What a body is compared by, whether it was parsed already or is still bytes: as JSON, if that is what it says it is, so that
 * neither white space nor the order of members makes a difference; else as bytes.
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

/** Undefined: it is no JSON, whatever it says. That is for the handler to refuse, not for us. */
function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/**
 * JSON that is nested too deeply for the canonical form is compared in the order it came in, and beyond that not at all
 * (`RangeError`): what a client sends must not end in an error of ours.
 */
function ofJson(value: unknown): string {
  try {
    return fingerprintOf(value);
  } catch (error) {
    if (!isLeaseholdError(error, "INVALID_ARGUMENT")) throw error;
    return fingerprintOf(JSON.stringify(value));
  }
}
