import { resultCodec, type ResultCodec } from "@leasehold/core";

import type { HeaderKeeper } from "./kept-headers.ts";
import type { HeaderField, PlainResponse } from "./outgoing.ts";

/**
 * Responses as a store keeps them: status, the headers that `keep` picks, and the bytes. `encode`
 * refuses a response whose body is not in memory: that one counts as executed, and its result as
 * not kept. `decode` believes nothing: what it returns can be sent, and has no header that this
 * service would not have stored.
 */
export function responseCodec(keep: HeaderKeeper): ResultCodec {
  return {
    encode: (value) => {
      const { status, headers, body } = value as PlainResponse;
      if (!(body instanceof Uint8Array)) throw new TypeError("a response without its body cannot be stored");
      return resultCodec.encode({ status, headers: keep(headers), body });
    },
    decode: (text): PlainResponse => {
      const { status, headers, body } = (resultCodec.decode(text) ?? {}) as Record<string, unknown>;
      if (typeof status !== "number" || !Number.isInteger(status) || status < 200 || status > 599)
        throw new TypeError("not a stored response");
      if (!Array.isArray(headers) || !headers.every(isField) || !(body instanceof Uint8Array))
        throw new TypeError("not a stored response");
      return { status, headers: keep(headers), body };
    },
  };
}

/** No name or value that could begin another header. */
function isField(field: unknown): field is HeaderField {
  if (!Array.isArray(field) || field.length !== 2) return false;
  const [name, value] = field as unknown[];
  return (
    typeof name === "string" &&
    /^[\w!#$%&'*+.^`|~-]+$/.test(name) &&
    typeof value === "string" &&
    /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
  );
}
