import type { ClaimView, Refused, Snapshot } from "@leasehold/core";

/** How many strings the script `inspect` answers for each claim. */
const CLAIM_PARTS = 8;

/** Where a claim stands, as a script tells it. */
export type Standing =
  | { readonly kind: "granted"; readonly ticket: bigint; readonly isProof: boolean }
  | { readonly kind: "queued"; readonly ticket: bigint; readonly aheadMs: number; readonly isProof: boolean }
  | Refused;

export type RenewalItem =
  | { readonly kind: "renewed"; readonly granted: boolean; readonly aheadMs: number }
  | { readonly kind: "gone" }
  | { readonly kind: "evicted" }
  | { readonly kind: "failed"; readonly error: Error };

/**
 * Replies come over a network, through proxies, from servers that others write to. So each is checked for what our scripts
 * can have sent; anything else is undefined, never a guess.
 */
export function decodeStanding(reply: unknown): Standing | undefined {
  if (typeof reply !== "string") return undefined;
  const isProof = !reply.endsWith(" !");
  const [word, first = "", second = "", ...more] = (isProof ? reply : reply.slice(0, -2)).split(" ");
  if (more.length > 0) return undefined;
  if (word === "r") return decodeRefusal(first, second);
  const ticket = decodeTicket(first);
  if (ticket === undefined) return undefined;
  if (word === "g" && second === "") return { kind: "granted", ticket, isProof };
  const aheadMs = decodeWhole(second);
  return word === "q" && aheadMs !== undefined ? { kind: "queued", ticket, aheadMs, isProof } : undefined;
}

function decodeRefusal(reason: string, detail: string): Refused | undefined {
  if (reason === "shape") {
    const capacity = decodeWhole(detail);
    return capacity === undefined ? undefined : { kind: "refused", reason, capacity };
  }
  const known = reason === "held" || reason === "full" || reason === "departed";
  return known && detail === "" ? { kind: "refused", reason } : undefined;
}

/** One item for each of `count` claims, or undefined if the reply is not that. */
export function decodeRenewals(reply: unknown, count: number): RenewalItem[] | undefined {
  if (!Array.isArray(reply) || reply.length !== count) return undefined;
  const items = reply.map(decodeRenewal);
  return items.every((item) => item !== undefined) ? items : undefined;
}

function decodeRenewal(item: unknown): RenewalItem | undefined {
  if (item === "h") return { kind: "renewed", granted: true, aheadMs: 0 };
  if (item === "x") return { kind: "gone" };
  if (item === "v") return { kind: "evicted" };
  if (typeof item !== "string") return undefined;
  if (item.startsWith("e ")) return { kind: "failed", error: new Error(item.slice(2)) };
  const aheadMs = item.startsWith("w ") ? decodeWhole(item.slice(2)) : undefined;
  return aheadMs === undefined ? undefined : { kind: "renewed", granted: false, aheadMs };
}

/** Clients may be set to give numbers as strings. */
export function decodeFlag(reply: unknown): boolean | undefined {
  if (reply === 1 || reply === "1") return true;
  return reply === 0 || reply === "0" ? false : undefined;
}

export function decodeSnapshot(reply: unknown): Snapshot | undefined {
  if (!Array.isArray(reply) || reply.length % CLAIM_PARTS !== 0) return undefined;
  const holders: ClaimView[] = [];
  const line: ClaimView[] = [];
  for (let at = 0; at < reply.length; at += CLAIM_PARTS) {
    const [standing, ...parts] = reply.slice(at, at + CLAIM_PARTS) as unknown[];
    const view = decodeView(parts);
    if (view === undefined || (standing !== "h" && standing !== "w")) return undefined;
    (standing === "h" ? holders : line).push(view);
  }
  return { holders, line };
}

function decodeView(parts: readonly unknown[]): ClaimView | undefined {
  const [owner, ticketText, weightText, value, sequenceText, evictedText, remainingText] = parts;
  const ticket = decodeTicket(ticketText);
  const weight = decodeWhole(weightText);
  const sequence = decodeWhole(sequenceText);
  const evicted = decodeFlag(evictedText);
  const remainingMs = decodeWhole(remainingText);
  if (ticket === undefined || weight === undefined || remainingMs === undefined) return undefined;
  if (sequence === undefined || evicted === undefined) return undefined;
  if (typeof owner !== "string" || typeof value !== "string") return undefined;
  return { owner, ticket, weight, value, sequence, evicted, remainingMs };
}

/** A ticket is never a JavaScript number on its way: near 2^53 that would round it. */
export function decodeTicket(text: unknown): bigint | undefined {
  return typeof text === "string" && /^\d{1,16}$/.test(text) ? BigInt(text) : undefined;
}

export function decodeWhole(text: unknown): number | undefined {
  return typeof text === "string" && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
