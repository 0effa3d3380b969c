import { invalidArgument } from "@leasehold/core";

import type { HeaderField } from "./outgoing.ts";

/** Kept unless `keepHeaders` says otherwise. */
const defaults = [
  "cache-control",
  "content-disposition",
  "content-language",
  "content-location",
  "etag",
  "last-modified",
  "link",
  "location",
  "vary",
];

/** Without these the body cannot be read. They are kept whatever `keepHeaders` says. */
const ofTheBody = ["content-type", "content-encoding"];

/** These belong to one connection or one message, not to the result. */
const never: Readonly<Record<string, string>> = {
  "set-cookie": "a replay would hand one client's session to whoever repeats its key",
  "set-cookie2": "a replay would hand one client's session to whoever repeats its key",
  "content-length": "it is computed from the body",
  "idempotent-replayed": "it is what tells a replay from the first answer",
  connection: "it belongs to one connection",
  "keep-alive": "it belongs to one connection",
  "proxy-connection": "it belongs to one connection",
  te: "it belongs to one connection",
  trailer: "trailers are not kept",
  "transfer-encoding": "it belongs to one connection",
  upgrade: "it belongs to one connection",
};

export type HeaderKeeper = (headers: readonly HeaderField[]) => HeaderField[];

/**
 * Picks the headers that are stored with a response. Everything else stays with the first answer:
 * cookies, request ids, dates. Throws `INVALID_ARGUMENT` for a name that must never be replayed,
 * and for what is no header name.
 */
export function headerKeeper(keepHeaders: readonly string[] = defaults): HeaderKeeper {
  if (!Array.isArray(keepHeaders)) throw invalidArgument("keepHeaders must be a list of header names.");
  const kept = new Set(ofTheBody);
  for (const name of keepHeaders) {
    if (typeof name !== "string" || !/^[\w!#$%&'*+.^`|~-]+$/.test(name))
      throw invalidArgument("keepHeaders must be a list of header names.");
    const why = never[name.toLowerCase()];
    if (why !== undefined) throw invalidArgument(`keepHeaders must not contain ${name}: ${why}.`);
    kept.add(name.toLowerCase());
  }
  return (headers) => headers.filter(([name]) => kept.has(name.toLowerCase()));
}
