import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";

import type { HeaderField } from "../outgoing.ts";

/** Any of the forms in which Node takes headers, one field for each value. */
export function fieldsOf(
  headers: OutgoingHttpHeaders | readonly OutgoingHttpHeader[] | undefined,
): HeaderField[] {
  if (headers === undefined) return [];
  const pairs = Array.isArray(headers) ? pairsOf(headers) : Object.entries(headers);
  return pairs.flatMap(([name, value]) => {
    if (value === undefined) return [];
    const values = Array.isArray(value) ? value : [value];
    return values.map((each): HeaderField => [name, String(each)]);
  });
}

/** Pairs, or names and values by turns. */
function pairsOf(headers: readonly unknown[]): [string, unknown][] {
  if (headers.every((each) => Array.isArray(each) && each.length === 2))
    return headers as [string, unknown][];
  return headers.flatMap((name, index) =>
    index % 2 === 0 ? [[String(name), headers[index + 1]] as [string, unknown]] : [],
  );
}

/** In place of what the response has under these names. */
export function setHeaders(response: ServerResponse, fields: readonly HeaderField[]): void {
  const values = new Map<string, { readonly name: string; readonly values: string[] }>();
  for (const [name, value] of fields) {
    const known = values.get(name.toLowerCase());
    if (known === undefined) values.set(name.toLowerCase(), { name, values: [value] });
    else known.values.push(value);
  }
  for (const { name, values: each } of values.values())
    response.setHeader(name, each.length === 1 ? (each[0] ?? "") : each);
}
