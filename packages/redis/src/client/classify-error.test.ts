import type { LeaseholdError } from "@leasehold/core";
import { describe, expect, test } from "vitest";
import { classifyError, isAnswer, isOfScript, isRefusal } from "./classify-error.ts";
import { clientErrors, serverSentences, type ServerWord } from "./failures.ts";

const key = "leasehold:{billing:lock:x}";
const address = "redis.internal:6380";
const classify = (error: unknown): LeaseholdError => classifyError(error, key, address);

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

/** As servers answer without such a word: Redis 7.0 and 8.0, Valkey 8.1. */
const replySamples: readonly Sample[] = [
  [
    "ERR The user executing the script can't run this command or subcommand script: 9b53",
    "OUTCOME_UNKNOWN",
    true,
  ],
  [
    "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments",
    "OUTCOME_UNKNOWN",
    true,
  ],
  [
    "ERR ACL failure in script: User bob has no permissions to run the 'pexpire' command script: 9b53",
    "OUTCOME_UNKNOWN",
    true,
  ],
  ["NOPERM ACL failure in script: No permissions to access a key", "OUTCOME_UNKNOWN", true],
  ["ERR Unknown Redis command called from script script: 9b53", "OUTCOME_UNKNOWN", true],
  ["ERR Unknown command called from script script: 9b53", "OUTCOME_UNKNOWN", true],
  ["ERR Invalid command passed to redis.acl_check_cmd() script: 9b53", "BACKEND_UNAVAILABLE", true],
  ["ERR Invalid command passed to server.acl_check_cmd() script: 9b53", "BACKEND_UNAVAILABLE", true],
  ["NOPERM this user may not run 'pexpire' script: 9b53", "BACKEND_UNAVAILABLE", true],
  ["NOPERM User bob has no permissions to run the 'evalsha' command", "BACKEND_UNAVAILABLE", true],
  ["ERR DB index is out of range", "BACKEND_UNAVAILABLE", true],
  ["ERR SELECT is not allowed in cluster mode", "BACKEND_UNAVAILABLE", true],
  ["ERR max number of clients reached", "BACKEND_UNAVAILABLE", false],
  ["ERR unknown command 'evalsha', with args beginning with: 'secret'", "BACKEND_UNAVAILABLE", true],
];

/** As clients and the system say it: ioredis 5 and 6. The last one is not foreseen. */
const clientSamples: readonly Sample[] = [
  ["All sentinels are unreachable and retry is disabled.", "BACKEND_UNAVAILABLE", false],
  ["getaddrinfo EAI_AGAIN redis.internal", "BACKEND_UNAVAILABLE", false],
  ["connect ENOENT /run/redis.sock", "BACKEND_UNAVAILABLE", false],
  ["connect ENETUNREACH 10.0.0.1:6379", "BACKEND_UNAVAILABLE", false],
  ["connect EHOSTUNREACH 10.0.0.1:6379", "BACKEND_UNAVAILABLE", false],
  ["CERT_HAS_EXPIRED", "BACKEND_UNAVAILABLE", true],
  ["CERT_NOT_YET_VALID", "BACKEND_UNAVAILABLE", true],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "BACKEND_UNAVAILABLE", true],
  ["SELF_SIGNED_CERT_IN_CHAIN", "BACKEND_UNAVAILABLE", true],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "BACKEND_UNAVAILABLE", true],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "BACKEND_UNAVAILABLE", true],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "BACKEND_UNAVAILABLE", true],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "BACKEND_UNAVAILABLE", true],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "OUTCOME_UNKNOWN", false],
  [
    "Client network socket disconnected before secure TLS connection was established",
    "BACKEND_UNAVAILABLE",
    false,
  ],
  ["write EPROTO", "OUTCOME_UNKNOWN", false],
  ['Unknown RESP type 72 "H". Please report this.', "OUTCOME_UNKNOWN", false],
  ['Protocol error, got "H" as reply type byte', "OUTCOME_UNKNOWN", false],
  ["write EPIPE", "OUTCOME_UNKNOWN", false],
  ["read ETIMEDOUT", "OUTCOME_UNKNOWN", false],
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
  ["Nobody has said this before", "OUTCOME_UNKNOWN", false],
];

const samples = [...Object.values(serverSamples), ...replySamples, ...clientSamples];

test.each(samples)("%s", (message, code, permanent) => {
  expect(classify(new Error(message))).toMatchObject({ code, permanent });
});

test("every row of the tables is tried above", () => {
  for (const [word, [message]] of Object.entries(serverSamples))
    expect(message.replace(/^.*ReplyError: /, "")).toMatch(new RegExp(`^${word} `));
  for (const [piece] of serverSentences)
    expect(replySamples.filter(([message]) => message.includes(piece))).not.toHaveLength(0);
  for (const [piece] of clientErrors)
    expect(clientSamples.filter(([message]) => message.includes(piece))).not.toHaveLength(0);
});

describe("messages", () => {
  test("never repeat what the server or the client said, which can hold owners, values and passwords", () => {
    for (const [message] of samples) {
      const error = Object.assign(new Error(`${message} 5ecret`), {
        command: { name: "auth", args: ["5ecret"] },
      });
      const classified = classify(error);
      expect(classified.message).not.toContain("5ecret");
      expect(classified.cause).toBeUndefined();
    }
  });

  test("name the key that holds something of others, and what to do", () => {
    const { message } = classify(new Error("WRONGTYPE Operation against a key"));
    expect(message).toContain(key);
    expect(message).toMatch(/Delete it, or use another prefix/);
  });

  test("name the server by host and port, and tell the cause's own words where they are known", () => {
    const said = (message: string, more: object = {}): string =>
      classify(Object.assign(new Error(message), more)).message;
    expect(said("READONLY You can't write against a read only replica. script: 9b53")).toContain(
      "(redis.internal:6380: READONLY You can't write against a read only replica)",
    );
    expect(said("connect ECONNREFUSED 10.0.0.7:6380", { code: "ECONNREFUSED" })).toContain(
      "(redis.internal:6380: ECONNREFUSED)",
    );
    expect(said("NOPERM User bob has no permissions to run the 'pexpire' command")).toContain(
      "(redis.internal:6380: NOPERM command 'pexpire')",
    );
    expect(said("ERR unknown command 'evalsha', with args beginning with: '5ecret'")).toContain(
      "(redis.internal:6380: ERR command 'evalsha')",
    );
    expect(said("ERR unknown command '5ecret'")).toContain("(redis.internal:6380: ERR)");
    expect(said("self-signed certificate; try", { code: "DEPTH_ZERO_SELF_SIGNED_CERT" })).toMatch(
      /^TLS: .*\(redis.internal:6380: DEPTH_ZERO_SELF_SIGNED_CERT self-signed certificate\)$/,
    );
  });

  test("tell the code of an error that is not foreseen", () => {
    const error = Object.assign(new Error("read EUNHEARD"), { code: "EUNHEARD" });
    expect(classify(error).message).toMatch(/not foreseen.*EUNHEARD/);
  });
});

test("a name with several addresses: what each of them failed with counts", () => {
  const refused = [1, 2].map((n) => new Error(`connect ECONNREFUSED ::${n}:6379`));
  expect(classify(new AggregateError(refused, ""))).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
});

describe("who answered", () => {
  const reply = (message: string): Error => Object.assign(new Error(message), { name: "ReplyError" });

  test("an error reply is an answer, whatever it says; what the client says is none", () => {
    for (const [message] of [...Object.values(serverSamples), ...replySamples])
      expect(isAnswer(reply(message)), message).toBe(true);
    for (const [message] of clientSamples) expect(isAnswer(new Error(message)), message).toBe(false);
    expect(classify(reply("ERR user_script:12: attempt to index a nil value")).message).toMatch(/answered/);
  });

  test("a refusal is of the server's state or of this user's rights", () => {
    const no = ["NOSCRIPT", "WRONGTYPE", "MALFORMED", "CROSSSLOT"];
    for (const [word, [message]] of Object.entries(serverSamples))
      expect(isRefusal(reply(message)), word).toBe(!no.includes(word));
    for (const [message] of replySamples) expect(isRefusal(reply(message)), message).toBe(true);
    for (const [message] of clientSamples) expect(isRefusal(new Error(message)), message).toBe(false);
  });

  test("a script's own error is one that no other request meets with", () => {
    expect(isOfScript(reply("ERR not enough money"))).toBe(true);
    expect(isOfScript(reply("ERR user_script:2: attempt to index a nil value"))).toBe(true);
    for (const [message] of [...Object.values(serverSamples), ...replySamples])
      expect(isOfScript(reply(message)), message).toBe(false);
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
    expect(classify(thrown).code).toBe("OUTCOME_UNKNOWN");
});
