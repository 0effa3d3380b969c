import { LeaseholdError, type ErrorCode } from "@leasehold/core";

/** What an error of the client or the server proves about the step that it answers. */
type FailureKind =
  /** Nothing was written, and asking again may help. */
  | "passing"
  /** Nothing was written, and asking again cannot help: an operator has to act. */
  | "refused"
  /** As `refused`: what lies under our key was written by somebody else. */
  | "foreign"
  /** The step may have been taken. */
  | "unknown"
  /** The server refused a command inside the script: what came before it has been done. */
  | "interrupted";

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

/**
 * A kind of failure, and what to say of it: what it is, and what to do. It never says the server's
 * own text, which can repeat arguments: those hold owners and values.
 */
type Failure = readonly [kind: FailureKind, says: string];

const foreign: Failure = [
  "foreign",
  "lies something that Leasehold did not write. Delete it, or use another prefix.",
];
const busy: Failure = ["passing", "Redis is busy with another script."];
const slotMoves: Failure = ["passing", "The Redis Cluster is moving this slot."];
const noNode: Failure = ["passing", "No node of the Redis Cluster can be reached."];
const closed: Failure = ["unknown", "The connection to Redis was closed."];

/**
 * The first word of an error by which a server refuses the whole step. Our scripts say `MALFORMED`.
 */
export type ServerWord =
  | "NOSCRIPT"
  | "LOADING"
  | "MASTERDOWN"
  | "READONLY"
  | "OOM"
  | "MISCONF"
  | "BUSY"
  | "UNKILLABLE"
  | "CLUSTERDOWN"
  | "TRYAGAIN"
  | "MOVED"
  | "ASK"
  | "NOREPLICAS"
  | "NOPERM"
  | "NOAUTH"
  | "WRONGPASS"
  | "WRONGTYPE"
  | "MALFORMED"
  | "CROSSSLOT";

const serverErrors: Readonly<Record<ServerWord, Failure>> = {
  NOSCRIPT: ["passing", "Redis lost the script twice in a row. Is something flushing its scripts?"],
  LOADING: ["passing", "Redis is loading its data."],
  MASTERDOWN: ["passing", "This replica has lost its master."],
  READONLY: ["passing", "This Redis is a replica; a failover may be under way. Connect to the master."],
  OOM: [
    "passing",
    "Redis is out of memory (maxmemory). What is held can still be renewed, finished and released.",
  ],
  MISCONF: ["passing", "Redis cannot save its data, and refuses writes until it can. See its log."],
  BUSY: busy,
  UNKILLABLE: busy,
  CLUSTERDOWN: ["passing", "The Redis Cluster does not serve this slot."],
  TRYAGAIN: slotMoves,
  MOVED: slotMoves,
  ASK: slotMoves,
  NOREPLICAS: ["passing", "Redis has fewer replicas than min-replicas-to-write, and refuses writes."],
  NOPERM: [
    "refused",
    "Redis refuses access: the user needs the rights listed in @leasehold/redis's acl.txt.",
  ],
  NOAUTH: ["refused", "Redis asks for a password, and none was given."],
  WRONGPASS: ["refused", "Redis refuses the user name or the password."],
  WRONGTYPE: foreign,
  MALFORMED: foreign,
  CROSSSLOT: ["refused", "The keys lie in different slots of the Redis Cluster. Give them one {tag}."],
};

/**
 * By a piece of an error's text, where no first word tells. The first piece that is found counts.
 */
export const otherErrors: readonly (readonly [piece: string, failure: Failure])[] = [
  [
    "The user executing the script can't",
    ["interrupted", "Redis refuses a command: the user needs the rights listed in acl.txt."],
  ],
  ["max number of clients reached", ["passing", "Redis has as many clients as it may have (maxclients)."]],
  ["unknown command", ["refused", "This server does not run Lua scripts (EVALSHA)."]],
  ["enableOfflineQueue options is false", ["passing", "The connection to Redis is not open."]],
  ["None of startup nodes is available", noNode],
  ["Failed to refresh slots cache", noNode],
  ["ECONNREFUSED", ["passing", "Redis refuses connections. Is it running?"]],
  ["ENOTFOUND", ["passing", "The host name of Redis is not known."]],
  ["connect ETIMEDOUT", ["passing", "Redis does not answer to a connection attempt."]],
  ["Reached the max retries per request limit", ["unknown", "The connection to Redis was lost."]],
  ["Connection is closed", closed],
  ["Command timed out", ["unknown", "Redis did not answer in time (the client's commandTimeout)."]],
  ["Command aborted due to connection close", closed],
];

const unforeseen: Failure = ["unknown", "Redis or its client failed in a way that is not foreseen here."];

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return unforeseen;
  // ioredis hides the last of too many redirections in the text.
  const text = error.message.replace(/^Too many Cluster redirections\. Last error: (ReplyError: )?/, "");
  const word = /^[A-Z]+(?= |$)/.exec(text)?.[0] ?? "";
  const byWord = Object.entries(serverErrors).find(([known]) => known === word)?.[1];
  return byWord ?? otherErrors.find(([piece]) => text.includes(piece))?.[1] ?? unforeseen;
}

/** Whether any request can meet with this error, so that it says nothing of a user's own script. */
export function isForeseen(error: unknown): boolean {
  return failureOf(error) !== unforeseen;
}

/**
 * Whether somebody else writes under our prefix. Operators should hear of that, since it does not
 * mend itself.
 */
export function isForeign(error: unknown): boolean {
  return failureOf(error)[0] === "foreign";
}

/**
 * The error to throw for what the client threw while it asked about `key`. It does not have that
 * as its `cause`: ioredis hangs the whole command on its errors, arguments and all.
 */
export function classifyError(error: unknown, key: string): LeaseholdError {
  const failure = failureOf(error);
  const [kind, says] = failure;
  const { code, permanent } = meanings[kind];
  const detail = failure === unforeseen && error instanceof Error ? ` (${codeOf(error)})` : "";
  const message = kind === "foreign" ? `Under Redis key "${key}" ${says}` : `${says}${detail}`;
  return new LeaseholdError(code, message, { permanent });
}

/** What can be told of an error without repeating its text. */
function codeOf(error: Error): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : (/^[A-Z]+(?= )/.exec(error.message)?.[0] ?? error.name);
}
