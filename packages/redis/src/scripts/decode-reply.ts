import type {
  Begun,
  ClaimView,
  Expired,
  ExtendReply,
  Finished,
  FinishReply,
  GrantPush,
  HolderView,
  InProgress,
  Look,
  Mismatch,
  Refused,
  Snapshot,
} from "@leasehold/core";
import { resourceOf } from "./keys.ts";
import { maxBodyBytes, type outcomeLetters } from "./record.ts";

// Replies come over a network, through proxies, from servers that others write to. So each decoder
// looks for what its script can have sent. Anything else is undefined, and never a guess.

/** Where a claim stands, as the script `acquire` tells it. */
export type Standing =
  | { readonly kind: "granted"; readonly ticket: bigint; readonly isProof: boolean }
  | { readonly kind: "queued"; readonly ticket: bigint; readonly aheadMs: number; readonly isProof: boolean }
  | Refused;

/** What `acquire` answers. */
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

/** Whether the reason for a refusal is followed by the capacity that the line has. */
const namesCapacity = {
  held: false,
  full: false,
  departed: false,
  shape: true,
} satisfies Record<Refused["reason"], boolean>;

function decodeRefusal(reason: string, detail: string): Refused | undefined {
  if (!isKeyOf(namesCapacity, reason)) return undefined;
  if (!namesCapacity[reason]) return detail === "" ? { kind: "refused", reason } : undefined;
  const capacity = decodeWhole(detail);
  return capacity === undefined ? undefined : { kind: "refused", reason, capacity };
}

/** What `renew` answers for one claim. */
export type Renewal =
  | { readonly kind: "renewed"; readonly granted: boolean; readonly aheadMs: number }
  | { readonly kind: "gone" }
  | { readonly kind: "evicted" }
  | { readonly kind: "failed"; readonly error: Error };

/** What `renew` answers: one item for each of the claims that it was asked for, in their order. */
export function decodeRenewals<T>(reply: unknown, claims: readonly T[]): [T, Renewal][] | undefined {
  if (!Array.isArray(reply) || reply.length !== claims.length) return undefined;
  const renewals: [T, Renewal][] = [];
  for (const [i, claim] of claims.entries()) {
    const renewal = decodeRenewal(reply[i]);
    if (renewal === undefined) return undefined;
    renewals.push([claim, renewal]);
  }
  return renewals;
}

function decodeRenewal(item: unknown): Renewal | undefined {
  if (item === "h") return { kind: "renewed", granted: true, aheadMs: 0 };
  if (item === "x") return { kind: "gone" };
  if (item === "v") return { kind: "evicted" };
  if (typeof item !== "string") return undefined;
  if (item.startsWith("e ")) return { kind: "failed", error: new Error(item.slice(2)) };
  const aheadMs = item.startsWith("w ") ? decodeWhole(item.slice(2)) : undefined;
  return aheadMs === undefined ? undefined : { kind: "renewed", granted: false, aheadMs };
}

/** What `release`, `propose` and `evict` answer. Clients may be set to give numbers as strings. */
export function decodeFlag(reply: unknown): boolean | undefined {
  if (reply === 1 || reply === "1") return true;
  return reply === 0 || reply === "0" ? false : undefined;
}

/** How many strings `inspect` answers for each claim. */
const CLAIM_PARTS = 8;

/** What `inspect` answers. */
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
  const holder = decodeHolder(parts);
  const remainingMs = decodeWhole(parts[6]);
  return holder === undefined || remainingMs === undefined ? undefined : { ...holder, remainingMs };
}

function decodeHolder(parts: readonly unknown[]): HolderView | undefined {
  const [owner, ticketText, weightText, value, sequenceText, evictedText] = parts;
  const ticket = decodeTicket(ticketText);
  const weight = decodeWhole(weightText);
  const sequence = decodeWhole(sequenceText);
  const evicted = decodeFlag(evictedText);
  if (ticket === undefined || weight === undefined) return undefined;
  if (sequence === undefined || evicted === undefined) return undefined;
  if (typeof owner !== "string" || typeof value !== "string") return undefined;
  return { owner, ticket, weight, value, sequence, evicted };
}

/** How many strings `look` answers before the holders, and for each of them. */
const LOOK_PARTS = 4;
const HOLDER_PARTS = 6;

/** What `look` answers. */
export function decodeLook(reply: unknown): Look | undefined {
  if (!Array.isArray(reply) || reply.length % HOLDER_PARTS !== LOOK_PARTS) return undefined;
  const [kind, version, endsText, gone] = reply as unknown[];
  const endsInMs = endsText === "" ? Infinity : decodeWhole(endsText);
  if (endsInMs === undefined || (kind !== "w" && kind !== "c")) return undefined;
  if (typeof version !== "string" || !/^\d*$/.test(version) || typeof gone !== "string") return undefined;
  const holders: HolderView[] = [];
  for (let at = LOOK_PARTS; at < reply.length; at += HOLDER_PARTS) {
    const holder = decodeHolder(reply.slice(at, at + HOLDER_PARTS) as unknown[]);
    if (holder === undefined) return undefined;
    holders.push(holder);
  }
  const seen = { whole: kind === "w", holders, gone: gone === "" ? [] : gone.split(" "), endsInMs };
  return version === "" ? seen : { ...seen, version };
}

/**
 * What a step that grants publishes to the inbox of the waiter: `<ticket> <key of the hash>
 * <owner>`. Anybody may publish there.
 */
export function decodePush(message: string): GrantPush | undefined {
  const [, digits, base = "", owner = ""] = /^(\d+) (.*\}) (\S+)$/s.exec(message) ?? [];
  const ticket = decodeTicket(digits);
  const resource = resourceOf(base);
  return ticket === undefined || resource === undefined ? undefined : { resource, owner, ticket };
}

/** What `begin` tells. Only the connection knows from when that is valid. */
export type Beginning =
  Pick<Begun, "kind" | "token" | "attempt"> | InProgress | Finished | Mismatch | Expired;

/** What `begin` answers. */
export function decodeBeginning(reply: unknown): Beginning | undefined {
  if (Array.isArray(reply)) {
    const [head, body, ...more] = reply as unknown[];
    return typeof body === "string" && more.length === 0 ? decodeFinished(head, body) : undefined;
  }
  if (typeof reply !== "string") return undefined;
  if (reply === "m") return { kind: "mismatch" };
  const [word, first, second, ...more] = reply.split(" ");
  if (word === "b" && more.length === 0) return withExecution({ kind: "begun" }, first, second);
  if (second !== undefined) return decodeFinished(reply, null);
  const number = decodeWhole(first);
  if (number === undefined) return undefined;
  if (word === "i") return { kind: "in-progress", remainingMs: number };
  return word === "x" && number > 0 ? { kind: "expired", attempt: number } : undefined;
}

type FinishedOutcome = Finished["outcome"];

const outcomes = {
  c: "completed",
  f: "failed",
} satisfies Record<(typeof outcomeLetters)[FinishedOutcome], FinishedOutcome>;

function decodeFinished(head: unknown, body: string | null): Finished | undefined {
  if (typeof head !== "string" || (body !== null && Buffer.byteLength(body) > maxBodyBytes)) return undefined;
  const [word, token, attempt, ...more] = head.split(" ");
  if (!isKeyOf(outcomes, word) || more.length > 0) return undefined;
  return withExecution({ kind: "finished", outcome: outcomes[word], body }, token, attempt);
}

function withExecution<T extends object>(
  rest: T,
  tokenText: unknown,
  attemptText: unknown,
): (T & { token: bigint; attempt: number }) | undefined {
  const token = decodeTicket(tokenText);
  const attempt = decodeWhole(attemptText);
  return token === undefined || attempt === undefined || attempt === 0
    ? undefined
    : { ...rest, token, attempt };
}

type Extension = ExtendReply["kind"];

const extensions = { extended: true, fenced: true, missing: true } satisfies Record<Extension, true>;

/** What `extend` answers. */
export function decodeExtension(reply: unknown): Extension | undefined {
  return isKeyOf(extensions, reply) ? reply : undefined;
}

const endings = { done: true, fenced: true, missing: true } satisfies Record<FinishReply, true>;

/** What `finish` answers. */
export function decodeFinish(reply: unknown): FinishReply | undefined {
  return isKeyOf(endings, reply) ? reply : undefined;
}

/** A ticket or a token. It is never a number of JavaScript, which would round it near 2^53. */
export function decodeTicket(text: unknown): bigint | undefined {
  return typeof text === "string" && /^\d{1,16}$/.test(text) ? BigInt(text) : undefined;
}

function decodeWhole(text: unknown): number | undefined {
  return typeof text === "string" && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Whether `word` is a key of the table's own, rather than one that every object inherits. */
function isKeyOf<T extends object>(table: T, word: unknown): word is keyof T {
  return typeof word === "string" && Object.hasOwn(table, word);
}
