/** A circuit as all nodes see it. One node alone may isolate itself, but not close or open it. */
export type SharedState = "closed" | "open" | "half-open";

/** What the leader says of the circuit. */
export interface Proclamation {
  readonly state: SharedState;
  /** 1, 2, 3, … within the leader's term. */
  readonly sequence: number;
  /** The open time that was drawn last, in ms; 0 when closed. The next may grow from it. */
  readonly openMs: number;
  /** What is left of it from this proclamation on: less than `openMs` when a new leader goes on. */
  readonly restMs: number;
  /** How many times it opened in a row: 1 at the first trip, 1 more at each failed probe, or 0. */
  readonly attempt: number;
  readonly reason: string;
}

/**
 * What an operator tells the whole fleet, for as long as the order stands: to keep away from the
 * dependency, or to forget what was found out about it.
 */
export type Order = { readonly kind: "isolate"; readonly reason: string } | { readonly kind: "reset" };

const version = 1;
const states: readonly unknown[] = ["closed", "open", "half-open"] satisfies readonly SharedState[];
/** A day. No node waits for longer because of what a store says. */
export const longestOpenMs = 86_400_000;
/** In UTF-16 code units. */
const longestReason = 200;

/** The text that is proclaimed. */
export function encodeProclamation(word: Proclamation): string {
  const { state, sequence, openMs, restMs, attempt, reason } = word;
  return JSON.stringify({ v: version, state, sequence, openMs, restMs, attempt, reason: plain(reason) });
}

/** Reads a proclamation back. A store is not trusted: null for what this version does not write. */
export function decodeProclamation(text: string): Proclamation | null {
  const { v, state, sequence, openMs, restMs, attempt, reason } = parseRecord(text);
  if (v !== version || !isState(state) || !isCount(sequence) || !isCount(attempt)) return null;
  if (!isOpenTime(openMs) || !isOpenTime(restMs) || typeof reason !== "string") return null;
  return { state, sequence, openMs, restMs, attempt, reason: plain(reason) };
}

export function encodeOrder(order: Order): string {
  if (order.kind === "reset") return JSON.stringify({ v: version, order: "reset" });
  return JSON.stringify({ v: version, order: "isolate", reason: plain(order.reason) });
}

/** Reads an order back. A store is not trusted: null for what this version does not write. */
export function decodeOrder(text: string): Order | null {
  const { v, order, reason } = parseRecord(text);
  if (v !== version) return null;
  if (order === "reset") return { kind: "reset" };
  return order === "isolate" && typeof reason === "string"
    ? { kind: "isolate", reason: plain(reason) }
    : null;
}

/** For a message of a later version, or of somebody else. */
export function unreadable(what: string): Error {
  return new Error(`The store holds ${what} that this version cannot read: it counts as not said.`);
}

/** One short line: reasons end in logs and terminals. Blanks control characters, cuts the rest. */
function plain(reason: string): string {
  const line = reason.replaceAll(/[\p{Cc}\u2028\u2029]/gu, " ");
  return (line.length > longestReason ? `${line.slice(0, longestReason - 1)}…` : line).toWellFormed();
}

/** The members of a JSON object; none if the text is anything else. Throws nothing. */
function parseRecord(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && !Array.isArray(parsed) ? { ...parsed } : {};
  } catch {
    return {};
  }
}

function isState(value: unknown): value is SharedState {
  return states.includes(value);
}

function isOpenTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= longestOpenMs;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
