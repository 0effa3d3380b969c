import { parseRecord, plainText } from "./text.ts";

/**
 * What an operator tells the whole fleet, for as long as the order stands: keep away from the dependency, or forget what was
 * found out about it.
 */
export type Order = { readonly kind: "isolate"; readonly reason: string } | { readonly kind: "reset" };

const version = 1;

export function encodeOrder(order: Order): string {
  if (order.kind === "reset") return JSON.stringify({ v: version, order: "reset" });
  return JSON.stringify({ v: version, order: "isolate", reason: plainText(order.reason) });
}

/** Reads an order back from the store. Untrusted: null for whatever this version does not write. */
export function decodeOrder(text: string): Order | null {
  const { v, order, reason } = parseRecord(text) ?? {};
  if (v !== version) return null;
  if (order === "reset") return { kind: "reset" };
  if (order === "isolate" && typeof reason === "string")
    return { kind: "isolate", reason: plainText(reason) };
  return null;
}
