import { LeaseholdError, type ErrorCode } from "@leasehold/core";
import {
  clientErrors,
  serverErrors,
  serverSentences,
  unforeseen,
  unforeseenReply,
  type Failure,
  type FailureKind,
} from "./failures.ts";
import { allText, firstWord, ownWords } from "./own-words.ts";

interface Meaning {
  readonly code: Extract<ErrorCode, "BACKEND_UNAVAILABLE" | "OUTCOME_UNKNOWN">;
  readonly permanent: boolean;
}

const meanings = {
  passing: { code: "BACKEND_UNAVAILABLE", permanent: false },
  refused: { code: "BACKEND_UNAVAILABLE", permanent: true },
  foreign: { code: "BACKEND_UNAVAILABLE", permanent: true },
  unknown: { code: "OUTCOME_UNKNOWN", permanent: false },
  interrupted: { code: "OUTCOME_UNKNOWN", permanent: true },
} satisfies Record<FailureKind, Meaning>;

interface Finding {
  readonly failure: Failure;
  /** The server answered: an error reply, and no silence. */
  readonly answered: boolean;
}

function find(error: unknown): Finding {
  if (!(error instanceof Error)) return { failure: unforeseen, answered: false };
  const text = allText(error);
  const among = (rows: readonly (readonly [string, Failure])[], said: string): Failure | undefined =>
    rows.find(([piece]) => said.includes(piece))?.[1];
  const word = firstWord(text);
  // A refusal inside a script can begin with the word of a refusal of the whole step.
  const inScript = text.includes("ACL failure in script") ? among(serverSentences, text) : undefined;
  const byWord = Object.entries(serverErrors).find(([known]) => known === word)?.[1];
  const replied = inScript ?? byWord ?? among(serverSentences, text);
  if (replied !== undefined) return { failure: replied, answered: true };
  if (error.name === "ReplyError") return { failure: unforeseenReply, answered: true };
  const { code } = error as { readonly code?: unknown };
  return { failure: among(clientErrors, `${text} ${String(code)}`) ?? unforeseen, answered: false };
}

/**
 * Whether this is the server's answer, but none that any request can meet with: so it is the
 * answer of a user's own script.
 */
export function isOfScript(error: unknown): boolean {
  return find(error).failure === unforeseenReply;
}

/** Whether the server answered, be it with an error: then it is within reach. */
export function isAnswer(error: unknown): boolean {
  return find(error).answered;
}

/**
 * Whether the server said no: to writes, or to this user. That it lost a script, or that somebody
 * else writes under our prefix, is none.
 */
export function isRefusal(error: unknown): boolean {
  const { failure, answered } = find(error);
  const { NOSCRIPT, CROSSSLOT } = serverErrors;
  return answered && failure[0] !== "foreign" && failure !== NOSCRIPT && failure !== CROSSSLOT;
}

/**
 * Whether somebody else writes under our prefix. Operators should hear of that, since it does not
 * mend itself.
 */
export function isForeign(error: unknown): boolean {
  return find(error).failure[0] === "foreign";
}

/**
 * The error to throw for what the client of `address` threw while it asked about `key`. Its message
 * says what that is and what to do; then, in brackets, whom it is about and the cause's own words,
 * as far as they are known not to repeat an argument. It does not have that as its `cause`: ioredis
 * hangs the whole command on its errors, arguments and all.
 */
export function classifyError(error: unknown, key: string, address: string): LeaseholdError {
  const [kind, says] = find(error).failure;
  const { code, permanent } = meanings[kind];
  const said = error instanceof Error ? ownWords(error) : typeof error;
  const subject = kind === "foreign" ? `Under Redis key "${key}" ${says}` : says;
  return new LeaseholdError(code, `${subject} (${address}: ${said})`, { permanent });
}
