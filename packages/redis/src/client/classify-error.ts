import { LeaseholdError, type ErrorCode } from "@leasehold/core";

/** What an error of the client or the server means for the request that it answers. */
interface Verdict {
  readonly code: Extract<ErrorCode, "BACKEND_UNAVAILABLE" | "OUTCOME_UNKNOWN">;
  readonly permanent?: boolean;
  /** Whether somebody else writes under our prefix: operators should see that, since it does not mend itself. */
  readonly foreign?: boolean;
  /** What it is, and what to do. Never the server's own text: it can repeat arguments, and those hold owners and values. */
  readonly says: string;
}

const notWritten = (says: string): Verdict => ({ code: "BACKEND_UNAVAILABLE", says });
const refused = (says: string): Verdict => ({ code: "BACKEND_UNAVAILABLE", permanent: true, says });
const foreign: Verdict = {
  code: "BACKEND_UNAVAILABLE",
  permanent: true,
  foreign: true,
  says: "lies something that Leasehold did not write. Delete it, or use another prefix.",
};
const unknown = (says: string): Verdict => ({ code: "OUTCOME_UNKNOWN", says });

/** By the first word of a server's error. The server refused the whole step: nothing was written. */
export const serverErrors: Readonly<Record<string, Verdict>> = {
  NOSCRIPT: notWritten("Redis lost the script twice in a row. Is something flushing its scripts?"),
  LOADING: notWritten("Redis is loading its data."),
  MASTERDOWN: notWritten("This replica has lost its master."),
  READONLY: notWritten("This Redis is a replica; a failover may be under way. Connect to the master."),
  OOM: notWritten(
    "Redis is out of memory (maxmemory). What is held can still be renewed, finished and released.",
  ),
  MISCONF: notWritten("Redis cannot save its data, and refuses writes until it can. See its log."),
  BUSY: notWritten("Redis is busy with another script."),
  UNKILLABLE: notWritten("Redis is busy with another script."),
  CLUSTERDOWN: notWritten("The Redis Cluster does not serve this slot."),
  TRYAGAIN: notWritten("The Redis Cluster is moving this slot."),
  MOVED: notWritten("The Redis Cluster is moving this slot."),
  ASK: notWritten("The Redis Cluster is moving this slot."),
  NOREPLICAS: notWritten("Redis has fewer replicas than min-replicas-to-write, and refuses writes."),
  NOPERM: refused("Redis refuses access: the user needs the rights listed in @leasehold/redis's acl.txt."),
  NOAUTH: refused("Redis asks for a password, and none was given."),
  WRONGPASS: refused("Redis refuses the user name or the password."),
  WRONGTYPE: foreign,
  MALFORMED: foreign,
  CROSSSLOT: refused("The keys lie in different slots of the Redis Cluster. Give them one {tag}."),
};

/** By a piece of an error's text, where there is no first word to go by. In this order. */
export const otherErrors: readonly (readonly [piece: string, verdict: Verdict])[] = [
  // Without a code, from inside a script: what came before the refused command has been done.
  [
    "The user executing the script can't",
    {
      code: "OUTCOME_UNKNOWN",
      permanent: true,
      says: "Redis refuses a command: the user needs the rights listed in acl.txt.",
    },
  ],
  ["max number of clients reached", notWritten("Redis has as many clients as it may have (maxclients).")],
  ["unknown command", refused("This server does not run Lua scripts (EVALSHA).")],
  ["enableOfflineQueue options is false", notWritten("The connection to Redis is not open.")],
  ["None of startup nodes is available", notWritten("No node of the Redis Cluster can be reached.")],
  ["Failed to refresh slots cache", notWritten("No node of the Redis Cluster can be reached.")],
  ["ECONNREFUSED", notWritten("Redis refuses connections. Is it running?")],
  ["ENOTFOUND", notWritten("The host name of Redis is not known.")],
  ["connect ETIMEDOUT", notWritten("Redis does not answer to a connection attempt.")],
  ["Reached the max retries per request limit", unknown("The connection to Redis was lost.")],
  ["Connection is closed", unknown("The connection to Redis was closed.")],
  ["Command timed out", unknown("Redis did not answer in time (the client's commandTimeout).")],
  ["Command aborted due to connection close", unknown("The connection to Redis was closed.")],
];

const unforeseen = unknown("Redis or its client failed in a way that is not foreseen here.");

export function verdictOf(error: unknown): Verdict {
  if (!(error instanceof Error)) return unforeseen;
  // ioredis hides the last of too many redirections in the text.
  const text = error.message.replace(/^Too many Cluster redirections\. Last error: (ReplyError: )?/, "");
  const word = /^[A-Z]+(?= |$)/.exec(text)?.[0] ?? "";
  const byWord = Object.hasOwn(serverErrors, word) ? serverErrors[word] : undefined;
  return byWord ?? otherErrors.find(([piece]) => text.includes(piece))?.[1] ?? unforeseen;
}

/** Whether this is an error that a store can give to any request, rather than one of the request's own. */
export function isForeseen(error: unknown): boolean {
  return verdictOf(error) !== unforeseen;
}

/** The error to throw for what the client threw. Without it as `cause`: ioredis hangs the whole command on it, arguments and all. */
export function classifyError(error: unknown, key: string): LeaseholdError {
  const verdict = verdictOf(error);
  const { code, permanent = false, says } = verdict;
  const detail = verdict === unforeseen && error instanceof Error ? ` (${codeOf(error)})` : "";
  const message = verdict.foreign === true ? `Under Redis key "${key}" ${says}` : `${says}${detail}`;
  return new LeaseholdError(code, message, { permanent });
}

/** What can be told of an error without repeating its text. */
function codeOf(error: Error): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? code : (/^[A-Z]+(?= )/.exec(error.message)?.[0] ?? error.name);
}
