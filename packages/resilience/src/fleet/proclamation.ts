import { parseRecord, plainText } from "./text.ts";

/** A circuit's states as the fleet knows them: one node alone may isolate itself, but cannot close or open for the others. */
export type SharedState = "closed" | "open" | "half-open";

/** What the leader says of the circuit. */
export interface Proclamation {
  readonly state: SharedState;
  /** 1, 2, 3, … within the leader's term. The era of a shared circuit is its term and this. */
  readonly sequence: number;
  /** The open time that was drawn when it opened last, in milliseconds; 0 when closed. The next one may grow from it. */
  readonly openMs: number;
  /** What is left of it from this word on, in milliseconds: less than `openMs` when a new leader goes on. */
  readonly restMs: number;
  /** How many times it has opened in a row: 1 at the first trip, one more with each failed probe; 0 when closed. */
  readonly attempt: number;
  readonly reason: string;
}

const version = 1;
const states: readonly unknown[] = ["closed", "open", "half-open"] satisfies readonly SharedState[];
/** A day. Nobody waits for longer because of what a store says. */
export const longestOpenMs = 86_400_000;

/** The text that is proclaimed. */
export function encodeProclamation(word: Proclamation): string {
  const { state, sequence, openMs, restMs, attempt, reason } = word;
  return JSON.stringify({ v: version, state, sequence, openMs, restMs, attempt, reason: plainText(reason) });
}

/** Reads a proclaimed text back. It comes from a store, so it is untrusted: null for whatever this version does not write. */
export function decodeProclamation(text: string): Proclamation | null {
  const { v, state, sequence, openMs, restMs, attempt, reason } = parseRecord(text) ?? {};
  if (v !== version || !isState(state) || !isCount(sequence) || !isCount(attempt)) return null;
  if (!isOpenTime(openMs) || !isOpenTime(restMs) || typeof reason !== "string") return null;
  return { state, sequence, openMs, restMs, attempt, reason: plainText(reason) };
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
