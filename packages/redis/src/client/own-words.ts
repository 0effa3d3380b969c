/**
 * What servers and clients say, as far as it is repeated. Every sentence is a constant of theirs:
 * none holds an argument, an owner, a value or a password.
 */
const sentences = [
  "You can't write against a read only replica",
  "command not allowed when used memory > 'maxmemory'",
  "Not enough good replicas to write",
  "Link with MASTER is down and replica-serve-stale-data is set to 'no'",
  "is loading the dataset in memory",
  "is busy running a script",
  "Sorry the script already executed write commands against the dataset",
  "is configured to save RDB snapshots, but it's currently unable to persist",
  "Errors writing to the AOF file",
  "Hash slot not served",
  "The cluster is down",
  "Multiple keys request during rehashing of slot",
  "Keys in request don't hash to the same slot",
  "No matching script",
  "Authentication required",
  "invalid username-password pair or user is disabled",
  "without any password configured for the default user",
  "Operation against a key holding the wrong kind of value",
  "max number of clients reached",
  "ACL failure in script",
  "The user executing the script can't run this command or subcommand",
  "The user executing the script can't access at least one of the keys",
  "The user executing the script can't publish to the channel",
  "No permissions to access a key",
  "no permissions to access one of the keys",
  "No permissions to access a channel",
  "command called from script",
  "DB index is out of range",
  "SELECT is not allowed in cluster mode",
  "Too many Cluster redirections",
  "None of startup nodes is available",
  "Failed to refresh slots cache",
  "All sentinels are unreachable",
  "Unknown RESP type",
  "Protocol error",
  "Connection is closed",
  "Command timed out",
  "Command aborted due to connection close",
  "wrong version number",
  "certificate has expired",
  "self-signed certificate",
] as const;

/** Commands of ours, and of ioredis while it connects. Other commands of users are not named. */
const commands = new Set(
  (
    "evalsha eval time hmget hget hset hdel exists get set del pttl pexpire zadd zrem zcard zcount " +
    "zscore zmscore zrank zrange zrangebyscore publish subscribe unsubscribe info hello auth select " +
    "cluster|slots cluster|info asking readonly sentinel client|setname wait config|get ping"
  ).split(" "),
);

/**
 * The cause's own words: its code or first word, what it says where that is one of the sentences
 * known here, and the command where it names one of ours. Nothing else of the text: servers repeat
 * arguments in it, which hold owners, values and passwords.
 */
export function ownWords(error: Error): string {
  const text = allText(error);
  const { code } = error as { readonly code?: unknown };
  const head = typeof code === "string" && /^[A-Z][A-Z0-9_]+$/.test(code) ? code : firstWord(text);
  const says = sentences.find((sentence) => text.includes(sentence));
  const named = /(?:unknown command|run the|may not run) ['`"]([a-z|]{2,20})['`"]/i
    .exec(text)?.[1]
    ?.toLowerCase();
  const command = named !== undefined && commands.has(named) ? `command '${named}'` : undefined;
  return [head, says, command].filter((part) => part !== undefined).join(" ") || error.name;
}

/** By convention the first word of a server's error is in capitals, and tells its kind. */
export function firstWord(text: string): string | undefined {
  return /^[A-Z]+(?= |$)/.exec(text)?.[0];
}

/**
 * An error's text, without what ioredis puts before it. Where a name has several addresses, each
 * of them failed by itself.
 */
export function allText(error: Error): string {
  const parts = error instanceof AggregateError ? error.errors.map(String) : [];
  return [error.message.replace(/^Too many Cluster redirections\. Last error: (ReplyError: )?/, ""), ...parts]
    .filter((part) => part !== "")
    .join("; ");
}
