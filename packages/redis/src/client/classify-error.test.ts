import { describe, expect, test } from "vitest";
import { classifyError, isForeseen, otherErrors, type ServerWord } from "./classify-error.ts";

const key = "leasehold:{billing:lock:x}";

type Sample = readonly [message: string, code: "BACKEND_UNAVAILABLE" | "OUTCOME_UNKNOWN", permanent: boolean];

/** As servers say it, by the first word: Redis 7.0 and 8.0, Valkey 8.1. None is missing. */
const serverSamples = {
  NOSCRIPT: ["NOSCRIPT No matching script. Please use EVAL.", "BACKEND_UNAVAILABLE", false],
  LOADING: ["LOADING Redis is loading the dataset in memory", "BACKEND_UNAVAILABLE", false],
  MASTERDOWN: [
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  READONLY: [
    "READONLY You can't write against a read only replica. script: 9b53, on @user_script:1.",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  OOM: [
    "OOM command not allowed when used memory > 'maxmemory'. script: 9b53, on @user_script:1.",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  MISCONF: [
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist on disk.",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  BUSY: [
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  UNKILLABLE: [
    "UNKILLABLE Sorry the script already executed write commands against the dataset.",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  CLUSTERDOWN: ["CLUSTERDOWN Hash slot not served", "BACKEND_UNAVAILABLE", false],
  TRYAGAIN: ["TRYAGAIN Multiple keys request during rehashing of slot", "BACKEND_UNAVAILABLE", false],
  MOVED: [
    "Too many Cluster redirections. Last error: ReplyError: MOVED 866 127.0.0.1:30001",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  ASK: [
    "Too many Cluster redirections. Last error: ReplyError: ASK 866 127.0.0.1:30001",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  NOREPLICAS: [
    "NOREPLICAS Not enough good replicas to write. script: 9b53, on @user_script:1.",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  NOPERM: ["NOPERM this user has no permissions to run the 'evalsha' command", "BACKEND_UNAVAILABLE", true],
  NOAUTH: ["NOAUTH Authentication required.", "BACKEND_UNAVAILABLE", true],
  WRONGPASS: ["WRONGPASS invalid username-password pair or user is disabled.", "BACKEND_UNAVAILABLE", true],
  WRONGTYPE: [
    "WRONGTYPE Operation against a key holding the wrong kind of value script: d075, on @user_script:1.",
    "BACKEND_UNAVAILABLE",
    true,
  ],
  MALFORMED: ["MALFORMED leasehold:{x} script: 86ef, on @user_script:1.", "BACKEND_UNAVAILABLE", true],
  CROSSSLOT: ["CROSSSLOT Keys in request don't hash to the same slot", "BACKEND_UNAVAILABLE", true],
} satisfies Record<ServerWord, Sample>;

/**
 * As servers and clients say it without such a word: ioredis 5 and 6. The last two are not
 * foreseen.
 */
const otherSamples: readonly Sample[] = [
  [
    "ERR The user executing the script can't run this command or subcommand script: 9b53",
    "OUTCOME_UNKNOWN",
    true,
  ],
  ["ERR max number of clients reached", "BACKEND_UNAVAILABLE", false],
  ["ERR unknown command 'evalsha', with args beginning with: 'secret'", "BACKEND_UNAVAILABLE", true],
  ["Stream isn't writeable and enableOfflineQueue options is false", "BACKEND_UNAVAILABLE", false],
  ["Cluster isn't ready and enableOfflineQueue options is false", "BACKEND_UNAVAILABLE", false],
  ["None of startup nodes is available", "BACKEND_UNAVAILABLE", false],
  ["Failed to refresh slots cache.", "BACKEND_UNAVAILABLE", false],
  ["connect ECONNREFUSED 127.0.0.1:6379", "BACKEND_UNAVAILABLE", false],
  ["getaddrinfo ENOTFOUND redis.internal", "BACKEND_UNAVAILABLE", false],
  ["connect ETIMEDOUT", "BACKEND_UNAVAILABLE", false],
  [
    'Reached the max retries per request limit (which is 0). Refer to "maxRetriesPerRequest" option for details.',
    "OUTCOME_UNKNOWN",
    false,
  ],
  ["Connection is closed.", "OUTCOME_UNKNOWN", false],
  ["Command timed out", "OUTCOME_UNKNOWN", false],
  ["Command aborted due to connection close", "OUTCOME_UNKNOWN", false],
  ["read ECONNRESET", "OUTCOME_UNKNOWN", false],
  ["ERR user_script:12: attempt to index a nil value", "OUTCOME_UNKNOWN", false],
];

const samples = [...Object.values(serverSamples), ...otherSamples];

test.each(samples)("%s", (message, code, permanent) => {
  expect(classifyError(new Error(message), key)).toMatchObject({ code, permanent });
});

test("every row of the tables is tried above", () => {
  for (const [word, [message]] of Object.entries(serverSamples))
    expect(message.replace(/^.*ReplyError: /, "")).toMatch(new RegExp(`^${word} `));
  for (const [piece] of otherErrors)
    expect(otherSamples.filter(([message]) => message.includes(piece))).not.toHaveLength(0);
});

describe("messages", () => {
  test("never repeat what the server or the client said, which can hold owners, values and passwords", () => {
    for (const [message] of samples) {
      const error = Object.assign(new Error(`${message} 5ecret`), {
        command: { name: "auth", args: ["5ecret"] },
      });
      const classified = classifyError(error, key);
      expect(classified.message).not.toContain("5ecret");
      expect(classified.cause).toBeUndefined();
    }
  });

  test("name the key that holds something of others, and what to do", () => {
    const { message } = classifyError(new Error("WRONGTYPE Operation against a key"), key);
    expect(message).toContain(key);
    expect(message).toMatch(/Delete it, or use another prefix/);
  });

  test("tell the code of an error that is not foreseen", () => {
    const error = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
    expect(isForeseen(error)).toBe(false);
    expect(classifyError(error, key).message).toContain("ECONNRESET");
  });
});

test("a thrown value that is no error, or says a word of Object.prototype, is of unknown outcome", () => {
  for (const thrown of [
    undefined,
    null,
    "OOM",
    7,
    new Error(""),
    new Error("constructor x"),
    new Error("toString"),
  ])
    expect(classifyError(thrown, key).code).toBe("OUTCOME_UNKNOWN");
});
