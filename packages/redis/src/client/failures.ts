/** What an error of the client or the server proves about the step that it answers. */
export type FailureKind =
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

/** A kind of failure, and what to say of it: what it is, and what to do. */
export type Failure = readonly [kind: FailureKind, says: string];

const foreign: Failure = [
  "foreign",
  "lies something that Leasehold did not write. Delete it, or use another prefix.",
];
const busy: Failure = ["passing", "Redis is busy with another script."];
const slotMoves: Failure = ["passing", "The Redis Cluster is moving this slot."];
const noNode: Failure = ["passing", "No node of the Redis Cluster can be reached."];
const closed: Failure = ["unknown", "The connection to Redis was closed."];
const lost: Failure = ["unknown", "The connection to Redis was lost."];
// A server that is full says so and closes. Its word is lost when we write meanwhile.
const reset: Failure = ["unknown", "The connection to Redis was reset, by it (maxclients?) or on the way."];
const noRoute: Failure = ["passing", "The host of Redis cannot be reached."];
const noHost: Failure = ["passing", "The host name of Redis is not known."];
const needsRights: Failure = [
  "interrupted",
  "Redis refuses a command inside the script: the user needs the rights listed in acl.txt.",
];
const untrusted: Failure = [
  "refused",
  "TLS: the certificate of Redis is of no authority that is trusted here. Give its authority as tls.ca.",
];
const otherProtocol: Failure = [
  "unknown",
  "What answers does not speak Redis's protocol. Is it another service, or a port for TLS (rediss://)?",
];

/**
 * The first word of an error by which a server refuses the whole step. Our scripts say `MALFORMED`,
 * and `NOPERM` where they find that they may not do all of a step.
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

export const serverErrors: Readonly<Record<ServerWord, Failure>> = {
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

type Row = readonly [piece: string, failure: Failure];

/**
 * What a server answers, by a piece of its text, where no first word tells. The first piece that
 * is found counts. Redis 7.0, Redis 8 and Valkey 8 word a refusal inside a script differently.
 */
export const serverSentences: readonly Row[] = [
  ["The user executing the script can't", needsRights],
  ["ACL failure in script", needsRights],
  [
    "command called from script",
    ["interrupted", "This server does not know a command of the scripts. Was it renamed, or disabled?"],
  ],
  // Asked before the first write: nothing was written.
  ["acl_check_cmd()", ["refused", "This server does not know PEXPIRE. Was it renamed, or disabled?"]],
  ["max number of clients reached", ["passing", "Redis has as many clients as it may have (maxclients)."]],
  [
    "unknown command",
    ["refused", "This server does not know a command. Is it a Redis 7.0 or later, and nothing renamed?"],
  ],
  ["DB index is out of range", ["refused", "Redis has no database of this number."]],
  ["SELECT is not allowed in cluster mode", ["refused", "A Redis Cluster has database 0 alone."]],
];

/** What the client says, or the system below it: nobody answered. */
export const clientErrors: readonly Row[] = [
  ["enableOfflineQueue options is false", ["passing", "The connection to Redis is not open."]],
  ["None of startup nodes is available", noNode],
  ["Failed to refresh slots cache", noNode],
  ["All sentinels are unreachable", ["passing", "No Sentinel named a master of Redis."]],
  ["ECONNREFUSED", ["passing", "Redis refuses connections. Is it running?"]],
  ["ENOTFOUND", noHost],
  ["EAI_AGAIN", noHost],
  ["connect ENOENT", ["passing", "The socket file of Redis is not there. Is Redis running?"]],
  [
    "connect ETIMEDOUT",
    ["passing", "Redis does not answer to a connection attempt, or to its TLS handshake."],
  ],
  ["connect ENETUNREACH", noRoute],
  ["connect EHOSTUNREACH", noRoute],
  ["CERT_HAS_EXPIRED", ["refused", "TLS: the certificate of Redis has expired."]],
  ["CERT_NOT_YET_VALID", ["refused", "TLS: the certificate of Redis is not valid yet."]],
  ["SELF_SIGNED_CERT", untrusted],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", untrusted],
  ["UNABLE_TO_GET_ISSUER_CERT", untrusted],
  [
    "ERR_TLS_CERT_ALTNAME_INVALID",
    ["refused", "TLS: the certificate of Redis is for another host name than the one connected to."],
  ],
  [
    "WRONG_VERSION_NUMBER",
    ["refused", "TLS: the server does not speak TLS. Connect by redis://, or to its TLS port."],
  ],
  [
    "before secure TLS connection was established",
    ["passing", "TLS: Redis ended the handshake. Does its port speak TLS?"],
  ],
  ["ERR_SSL_", ["unknown", "TLS: the handshake with Redis failed."]],
  ["EPROTO", ["unknown", "TLS: the handshake with Redis failed."]],
  ["Unknown RESP type", otherProtocol],
  ["Protocol error, got", otherProtocol],
  ["Reached the max retries per request limit", lost],
  ["Connection is closed", closed],
  ["Command timed out", ["unknown", "Redis did not answer in time (the client's commandTimeout)."]],
  ["Command aborted due to connection close", closed],
  ["ECONNRESET", reset],
  ["EPIPE", reset],
  ["ETIMEDOUT", lost],
];

export const unforeseen: Failure = [
  "unknown",
  "The client of Redis failed in a way that is not foreseen here.",
];
export const unforeseenReply: Failure = [
  "unknown",
  "Redis answered with an error that is not foreseen here. The step may have been taken.",
];
